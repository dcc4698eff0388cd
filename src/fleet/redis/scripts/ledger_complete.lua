-- Says that every key of this shard that SQL has counted anything of has its floor.
--
-- KEYS 1 the table of the epoch, for its stamp  2 ledger
-- ARGV 1 epoch
-- Gives {'ok'} or {'unvouched'}.
local stamp = redis.call('HMGET', KEYS[1], '!process', '!open')
if stamp[1] ~= process() or not stamp[2] then return {'unvouched'} end
if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[1] then
  local time = redis.call('TIME')
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], 'epoch', ARGV[1], 'began', string.format('%.0f', time[1] * 1000000 + time[2]))
end
redis.call('HSET', KEYS[2], 'complete', '1')
return {'ok'}
