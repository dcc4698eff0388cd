-- Which server process answers, and which lineage of writes it is in: it changes when the server is started again, when a
-- replica becomes the primary, and when a server takes over another one's contents.
local function process()
  local told = redis.call('INFO', 'server', 'replication')
  return told:match('run_id:(%x+)') .. '-' .. told:match('master_replid:(%x+)')
end
