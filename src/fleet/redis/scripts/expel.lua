-- Takes a gateway off the register that can admit nothing any more, unless it has given a sign meanwhile. It may come
-- back: then it registers anew.
--
-- KEYS 1 presence  2 beats  3 remembered
-- ARGV 1 gateway  2 number of its last beat
-- Gives {'ok', whether it was taken off}.
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known or known:match('^%d+') ~= ARGV[2] then return {'ok', 0} end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('SREM', KEYS[3], ARGV[1])
return {'ok', 1}
