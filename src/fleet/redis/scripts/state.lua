-- Where the feed is.
--
-- KEYS 1 head
-- Gives {'none'} or {'ok', epoch, seq, term, 1 where the feed and the organizations are vouched for, else 0}; or {'evicts'}
-- where the server may throw away keys that have no expiry.
--
-- Two more keys are read, in the slot of the head and named by it: feed and organizations of its epoch.
local memory = redis.call('INFO', 'memory')
if tonumber(memory:match('\nmaxmemory:(%d+)') or 0) > 0 and memory:match('maxmemory_policy:allkeys') then
  return {'evicts'}
end
local head = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'term', 'process')
if not head[1] then return {'none'} end
local slot, me = KEYS[1]:sub(1, -5), process()
local vouched = head[4] == me and redis.call('EXISTS', slot .. 'log:' .. head[1]) == 1
  and redis.call('HGET', slot .. 'organizations:' .. head[1], '!process') == me
return {'ok', head[1], head[2], head[3], vouched and 1 or 0}
