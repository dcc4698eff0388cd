-- Takes a gateway off the register, and remembers that it left: a beat of it that is still on its way changes nothing.
--
-- KEYS 1 presence  2 beats  3 left  4 remembered
-- ARGV 1 gateway
local time = redis.call('TIME')
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('SREM', KEYS[4], ARGV[1])
redis.call('ZADD', KEYS[3], string.format('%.0f', time[1] * 1000), ARGV[1])
return {'ok'}
