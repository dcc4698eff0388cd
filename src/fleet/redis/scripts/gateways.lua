-- The register, and where the feed is, as of one instant. Forgets who gave no sign for longer than any gateway may go on.
--
-- KEYS 1 presence  2 beats  3 left  4 pushed  5 recorded  6 head  7 remembered
-- ARGV 1 after how many ms without a sign one is forgotten
-- Gives {'ok', whether the feed is vouched for, its epoch, its sequence, then for each gateway: its id, number and
-- presence, ms since its last sign, whether SQL knows it}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = '(' .. string.format('%.0f', now - ARGV[1])
for _, signs in ipairs({KEYS[2], KEYS[3]}) do
  for _, gateway in ipairs(redis.call('ZRANGEBYSCORE', signs, '-inf', before)) do
    redis.call('ZREM', signs, gateway)
    redis.call('SREM', KEYS[7], gateway)
    redis.call('HDEL', KEYS[1], gateway)
    redis.call('HDEL', KEYS[4], gateway)
    redis.call('HDEL', KEYS[5], gateway)
  end
end
local head = redis.call('HMGET', KEYS[6], 'epoch', 'seq', 'process')
local vouched = head[1] and head[3] == process()
  and redis.call('EXISTS', KEYS[6]:sub(1, -5) .. 'log:' .. head[1]) == 1
local answer = {'ok', vouched and 1 or 0, head[1] or '0', head[2] or '0'}
local beats = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for at = 1, #beats, 2 do
  local presence = redis.call('HGET', KEYS[1], beats[at])
  if presence then
    answer[#answer + 1] = beats[at]
    answer[#answer + 1] = presence
    answer[#answer + 1] = math.max(0, now - beats[at + 1])
    answer[#answer + 1] = redis.call('SISMEMBER', KEYS[7], beats[at])
  end
end
return answer
