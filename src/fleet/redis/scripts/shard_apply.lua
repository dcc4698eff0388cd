-- Applies changes to the keys of a shard, each once.
--
-- KEYS 1 the table
-- ARGV 1 term, then for each record, in order: 2 the number of its change  3 id  4 the record as JSON, or nothing where it is
-- gone
-- Gives {'ok'}, {'superseded'} or {'unvouched'}.
local stamp = redis.call('HMGET', KEYS[1], '!process', '!term', '!last', '!open')
if stamp[1] ~= process() or not stamp[4] then return {'unvouched'} end
if tonumber(stamp[2]) > tonumber(ARGV[1]) then return {'superseded'} end
-- What was applied before this call: records of one change come in one call, all of them newer than that or none.
local last, newest = tonumber(stamp[3]), tonumber(stamp[3])
for at = 2, #ARGV, 3 do
  local seq = tonumber(ARGV[at])
  if seq > last then
    if ARGV[at + 2] == '' then
      redis.call('HDEL', KEYS[1], ARGV[at + 1])
    else
      redis.call('HSET', KEYS[1], ARGV[at + 1], ARGV[at + 2])
    end
    newest = math.max(newest, seq)
  end
end
redis.call('HSET', KEYS[1], '!last', string.format('%.0f', newest), '!term', ARGV[1])
return {'ok'}
