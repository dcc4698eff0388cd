-- Lets the ledger of an epoch grant.
--
-- KEYS 1 head  2 ledger
-- ARGV 1 term  2 epoch
-- Gives {'ok'}, {'superseded'} or {'unvouched'}.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'term', 'process')
if not head[1] then return {'unvouched'} end
if tonumber(head[2]) > tonumber(ARGV[1]) or head[1] ~= ARGV[2] then return {'superseded'} end
if head[3] ~= process() then return {'unvouched'} end
redis.call('SET', KEYS[2], ARGV[2])
return {'ok'}
