-- Whether a publisher may go on, and after which change.
--
-- KEYS 1 head
-- ARGV 1 term  2 epoch
-- Gives {'ok', seq}, {'superseded'} or {'unvouched'}.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'term', 'process')
if not head[1] then return {'unvouched'} end
if tonumber(head[3]) > tonumber(ARGV[1]) or head[1] ~= ARGV[2] then return {'superseded'} end
if head[4] ~= process() then return {'unvouched'} end
return {'ok', head[2]}
