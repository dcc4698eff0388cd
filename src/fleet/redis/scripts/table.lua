-- A page of a part of the table, if that is open and vouched for.
--
-- KEYS 1 the table
-- ARGV 1 cursor, 0 at first  2 about how many records
-- Gives {'ok', next cursor or '0', field, value, …}, where fields that begin with ! are no records; or {'unvouched'}.
local stamp = redis.call('HMGET', KEYS[1], '!process', '!open')
if stamp[1] ~= process() or not stamp[2] then return {'unvouched'} end
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local answer = {'ok', page[1]}
for at = 1, #page[2] do answer[at + 2] = page[2][at] end
return answer
