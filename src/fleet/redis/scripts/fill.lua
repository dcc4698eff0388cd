-- Writes records into a part of a table that is not open yet: keys of a shard, or the organizations.
--
-- KEYS 1 the table
-- ARGV 1 which try this is, then for each record: 2 id  3 the record as JSON
-- Gives {'ok'}; {'superseded'} where another try has begun or the table is open; {'unvouched'} where the server was started
-- again meanwhile.
local stamp = redis.call('HMGET', KEYS[1], '!try', '!process', '!open')
if stamp[2] ~= process() then return {'unvouched'} end
if stamp[1] ~= ARGV[1] or stamp[3] then return {'superseded'} end
for at = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
return {'ok'}
