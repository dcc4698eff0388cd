-- A gateway's sign of life: registers it, then says where the feed is.
--
-- KEYS 1 head  2 presence  3 beats  4 left  5 recorded  6 ledger  7 remembered
-- ARGV 1 gateway  2 number of the beat  3 its presence, as JSON  4 after how many ms without a sign one is silent
-- Gives {'ok', epoch, seq, recorded, gateways, silent, ledger open,
-- whether SQL knows this gateway} or {'left'} or {'unvouched'}.
--
-- The first thing that it does is a write, so that a replica and a primary without its replicas refuse it. One more key
-- is read, in the slot of the others and named by the head: the feed of its epoch.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HGET', KEYS[2], ARGV[1])
if redis.call('ZSCORE', KEYS[4], ARGV[1]) then
  return {'left'}
elseif known and tonumber(known:match('^%d+')) >= tonumber(ARGV[2]) then
  redis.call('HSETNX', KEYS[2], ARGV[1], known)
else
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
  redis.call('ZADD', KEYS[3], string.format('%.0f', now), ARGV[1])
end
local head = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'process')
if not head[1] or head[3] ~= process() then return {'unvouched'} end
local log = KEYS[1]:sub(1, -5) .. 'log:' .. head[1]
if redis.call('EXISTS', log) == 0 then return {'unvouched'} end
local silent = redis.call('ZCOUNT', KEYS[3], '-inf', '(' .. string.format('%.0f', now - ARGV[4]))
return {'ok', head[1], head[2], redis.call('HGET', KEYS[5], ARGV[1]) or '0', redis.call('ZCARD', KEYS[3]), silent,
  redis.call('GET', KEYS[6]) == head[1] and 1 or 0, redis.call('SISMEMBER', KEYS[7], ARGV[1])}
