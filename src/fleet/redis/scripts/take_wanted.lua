-- Takes some of the keys whose counters are to be told by SQL.
--
-- KEYS 1 wanted
-- ARGV 1 how many at most
-- Gives {'ok', key, …}.
local answer = {'ok'}
for _, key in ipairs(redis.call('SPOP', KEYS[1], ARGV[1])) do answer[#answer + 1] = key end
return answer
