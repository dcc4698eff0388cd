-- The oldest batches of usage. They stay until they are dropped.
--
-- KEYS 1 usage
-- ARGV 1 how many at most
-- Gives {'ok', id, gateway, number, batch, …}.
local answer = {'ok'}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1])) do
  local fields = entry[2]
  answer[#answer + 1] = entry[1]
  answer[#answer + 1] = fields[2]
  answer[#answer + 1] = fields[4]
  answer[#answer + 1] = fields[6]
end
return answer
