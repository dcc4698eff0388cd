-- Opens a part of a table that was filled: from now on it is read, and changes are applied to it.
--
-- KEYS 1 the table
-- ARGV 1 which try this is  2 the sequence that the table is at
-- Gives {'ok'}, {'superseded'} or {'unvouched'}, as fill.lua does.
local stamp = redis.call('HMGET', KEYS[1], '!try', '!process', '!open')
if stamp[2] ~= process() then return {'unvouched'} end
if stamp[1] ~= ARGV[1] then return {'superseded'} end
if not stamp[3] then redis.call('HSET', KEYS[1], '!open', '1', '!last', ARGV[2]) end
return {'ok'}
