-- Makes the table of an epoch the one that all follow, once all its other parts are open.
--
-- KEYS 1 head  2 organizations of the epoch  3 feed of the epoch
-- ARGV 1 term  2 epoch  3 which try this is  4 the sequence that the table is at
-- Gives {'ok'}, {'superseded'} or {'unvouched'}.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'term')
local epoch = tonumber(head[1] or 0)
if tonumber(head[2] or 0) > tonumber(ARGV[1]) or epoch > tonumber(ARGV[2]) then return {'superseded'} end
local stamp = redis.call('HMGET', KEYS[2], '!try', '!process')
if stamp[2] ~= process() then return {'unvouched'} end
if stamp[1] ~= ARGV[3] then return {'superseded'} end
-- Once it is open, changes move the sequence on: the same call once more must not set it back.
if epoch < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[2], '!open', '1')
  -- The feed exists from the start, so that its absence tells that it was lost. Changes have ids `<seq>-0`.
  redis.call('UNLINK', KEYS[3])
  redis.call('XADD', KEYS[3], ARGV[4] .. '-1', 'open', '')
  redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'seq', ARGV[4], 'term', ARGV[1], 'process', process())
end
return {'ok'}
