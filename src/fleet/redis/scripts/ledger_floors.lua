-- Takes in what SQL has counted of keys, from which their accounts go on.
--
-- KEYS 1 the table of the epoch, for its stamp  2 … the account of each key
-- ARGV 1 epoch  2 most hours that a floor is kept without use, then for each key its floor:
--      admitted lately, then window start admitted, …
-- Gives {'ok', how many were news} or {'unvouched'}.
local stamp = redis.call('HMGET', KEYS[1], '!process', '!open')
if stamp[1] ~= process() or not stamp[2] then return {'unvouched'} end
local news = 0
for at = 2, #KEYS do
  local known = redis.call('HMGET', KEYS[at], 'e', 'n')
  if known[1] ~= ARGV[1] then
    redis.call('DEL', KEYS[at])
    known = {}
  end
  if not known[2] then news = news + 1 end
  redis.call('HDEL', KEYS[at], 'f0', 'f1', 'f2', 'f3', 'f4')
  local words = {}
  for word in ARGV[at + 1]:gmatch('%S+') do words[#words + 1] = word end
  redis.call('HSET', KEYS[at], 'e', ARGV[1], 'n', words[1])
  for place = 2, #words, 3 do
    redis.call('HSET', KEYS[at], 'f' .. words[place], words[place + 1] .. ' ' .. words[place + 2])
  end
  -- An account that is in use sets its own time, later than this or not: it is kept until both are over.
  if redis.call('PTTL', KEYS[at]) < ARGV[2] * 3600000 then
    redis.call('PEXPIRE', KEYS[at], string.format('%.0f', ARGV[2] * 3600000))
  end
end
return {'ok', news}
