-- Begins a part of the table of an epoch.
--
-- KEYS 1 the table  2 epochs
-- ARGV 1 term  2 epoch  3 which try this is
-- Gives {'ok'} or {'superseded'}.
local stamp = redis.call('HMGET', KEYS[1], '!try', '!term', '!open')
if stamp[3] or tonumber(stamp[2] or 0) > tonumber(ARGV[1]) then return {'superseded'} end
-- The same try once more, of which the answer was lost, must not remove what was filled in since.
if stamp[1] ~= ARGV[3] then
  redis.call('UNLINK', KEYS[1])
  redis.call('HSET', KEYS[1], '!try', ARGV[3], '!term', ARGV[1], '!process', process())
  redis.call('SADD', KEYS[2], ARGV[2])
end
return {'ok'}
