-- Takes a gateway's batch of usage, behind the one before it.
--
-- KEYS 1 usage  2 pushed
-- ARGV 1 gateway  2 number  3 the batch  4 most batches that may wait  5 the last number that SQL is known to have
-- Gives {'ok'}, also where it was taken before; {'order', last} where one before it is missing; {'full'}.
local last = math.max(tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0), tonumber(ARGV[5]))
local number = tonumber(ARGV[2])
if number <= last then return {'ok'} end
if number ~= last + 1 then return {'order', tostring(last)} end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[4]) then return {'full'} end
redis.call('XADD', KEYS[1], '*', 'g', ARGV[1], 'n', ARGV[2], 'p', ARGV[3])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return {'ok'}
