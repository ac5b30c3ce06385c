// Each script is one step at Redis. All keys share the hash tag of KEYS[1], so that one script reaches records of any person, session and txid, in a
// Cluster too: pushes come at the speed of people, and one node carries them.
const prelude = `
local function at(kind, name) return KEYS[1] .. ':' .. kind .. ':' .. name end
local function whole(number) return string.format('%.0f', number) end
local function fields(id)
  return redis.call('HMGET', at('record', id), 'id', 'session', 'username', 'state', 'version', 'holder', 'lease', 'ended')
end
-- Brings in line with the record what it is found by. KEPT is how long Redis keeps what is over; nothing is decided by it.
local function settle(id, kept)
  local r = fields(id)
  local session, username, version, lease, ended = r[2], r[3], r[5], r[7], r[8]
  if lease == '' then redis.call('ZREM', at('leases', ''), id) else redis.call('ZADD', at('leases', ''), lease, id) end
  if ended == '' then
    redis.call('SET', at('in-flight', username), id)
  else
    if redis.call('GET', at('in-flight', username)) == id then redis.call('DEL', at('in-flight', username)) end
    redis.call('ZADD', at('ended', username), ended, id)
    redis.call('ZREMRANGEBYRANK', at('ended', username), 0, -51)
    redis.call('PEXPIRE', at('ended', username), kept)
    if lease == '' then redis.call('SREM', at('ringing', username), id) else redis.call('SADD', at('ringing', username), id) end
  end
  if lease == '' then redis.call('PEXPIRE', at('record', id), kept) end
  if redis.call('HGET', at('session', session), 'id') == id then
    redis.call('HSET', at('session', session), 'version', version)
    redis.call('PEXPIRE', at('session', session), kept)
  end
  return r
end
`

/** ARGV: session. */
export const newest = `${prelude}
local id = redis.call('HGET', at('session', ARGV[1]), 'id')
return id and fields(id)
`

/** ARGV: username. */
export const inFlight = `${prelude}
local id = redis.call('GET', at('in-flight', ARGV[1]))
local r = id and fields(id)
return r and r[8] == '' and r
`

/** ARGV: username. */
export const ringing = `${prelude}
local found = {}
for _, id in ipairs(redis.call('SMEMBERS', at('ringing', ARGV[1]))) do found[#found + 1] = fields(id) end
return found
`

/** ARGV: username, time. */
export const endedAfter = `${prelude}
local found = {}
for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', at('ended', ARGV[1]), '+inf', '(' .. ARGV[2])) do found[#found + 1] = fields(id) end
return found
`

/** ARGV: id, session, username, state, holder, lease, ended, kept. */
export const insert = `${prelude}
local id, session, username, ended = ARGV[1], ARGV[2], ARGV[3], ARGV[7]
local open = redis.call('GET', at('in-flight', username))
if ended == '' and open and redis.call('HGET', at('record', open), 'ended') == '' then return false end
-- Higher than all before it in this session, so that whoever waits past one is woken by a new push too.
local version = whole((tonumber(redis.call('HGET', at('session', session), 'version') or '') or 0) + 1)
redis.call('HSET', at('record', id), 'id', id, 'session', session, 'username', username, 'state', ARGV[4], 'version', version,
  'holder', ARGV[5], 'lease', ARGV[6], 'ended', ended)
redis.call('HSET', at('session', session), 'id', id, 'version', version)
return settle(id, ARGV[8])
`

/** ARGV: id, version, holder ('': anybody), lease, state, ended, over, txid hash, guard that was seen, guard to be ('': no note), its life, give back, kept. */
export const write = `${prelude}
local id, holder, txid, guard = ARGV[1], ARGV[3], ARGV[8], ARGV[10]
local r = fields(id)
local username = r[3]
if r[5] ~= ARGV[2] or (holder ~= '' and r[6] ~= holder) then return 'lost' end
if txid ~= '' then
  local owner = redis.call('GET', at('txid', txid))
  if owner and owner ~= id then return 'taken' end
end
if guard ~= '' and (redis.call('GET', at('guard', username)) or '') ~= ARGV[9] then return 'again' end
if txid ~= '' then redis.call('SET', at('txid', txid), id, 'PX', ARGV[13]) end
if guard ~= '' then redis.call('SET', at('guard', username), guard, 'PX', ARGV[11]) end
if ARGV[12] ~= '' then redis.call('DEL', at('asked-user', username)) end
redis.call('HSET', at('record', id), 'state', ARGV[5], 'version', whole(tonumber(r[5]) + 1), 'ended', ARGV[6])
if holder ~= '' then redis.call('HSET', at('record', id), 'lease', ARGV[4]) end
if ARGV[7] ~= '' then redis.call('HSET', at('record', id), 'holder', '', 'lease', '') end
return settle(id, ARGV[13])
`

/** ARGV: id, holder, lease. */
export const renew = `${prelude}
local r = fields(ARGV[1])
if r[6] ~= ARGV[2] then return 0 end
redis.call('HSET', at('record', ARGV[1]), 'lease', ARGV[3])
redis.call('ZADD', at('leases', ''), ARGV[3], ARGV[1])
return 1
`

/** ARGV: how many at most. */
export const leases = `${prelude}
local found, listed = {}, redis.call('ZRANGE', at('leases', ''), 0, tonumber(ARGV[1]) - 1, 'WITHSCORES')
for i = 1, #listed, 2 do
  local id = listed[i]
  if redis.call('EXISTS', at('record', id)) == 1 then found[#found + 1] = {id, whole(tonumber(listed[i + 1]))}
  else redis.call('ZREM', at('leases', ''), id) end
end
return found
`

/** ARGV: id, version, lease that was seen, holder, lease, kept. */
export const takeOver = `${prelude}
local id = ARGV[1]
local r = fields(id)
if r[5] ~= ARGV[2] or r[7] == '' or r[7] ~= ARGV[3] then return false end
redis.call('HSET', at('record', id), 'holder', ARGV[4], 'lease', ARGV[5], 'version', whole(tonumber(r[5]) + 1))
return settle(id, ARGV[6])
`

/** ARGV: id. */
export const discard = `${prelude}
local id = ARGV[1]
local session, username = unpack(redis.call('HMGET', at('record', id), 'session', 'username'))
redis.call('DEL', at('record', id))
redis.call('ZREM', at('leases', ''), id)
if username then
  if redis.call('GET', at('in-flight', username)) == id then redis.call('DEL', at('in-flight', username)) end
  redis.call('ZREM', at('ended', username), id)
  redis.call('SREM', at('ringing', username), id)
end
-- The version stays: whoever waits past it must be woken by the next one.
if session and redis.call('HGET', at('session', session), 'id') == id then redis.call('HDEL', at('session', session), 'id') end
return 1
`

/** ARGV: username, guard that was seen, guard to be, its life. */
export const replaceGuard = `${prelude}
if redis.call('GET', at('guard', ARGV[1])) ~= ARGV[2] then return 0 end
redis.call('SET', at('guard', ARGV[1]), ARGV[3], 'PX', ARGV[4])
return 1
`

/**
 * ARGV: username, session, network ('': unknown), kind, id, now, find_time, limits of a person, an address, all, pause between text messages, kept.
 * What came after \`now\` is of before the clock was set back: it must not count for years.
 */
export const take = `${prelude}
local username, network, id, now, find = ARGV[1], ARGV[3], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
if ARGV[4] == 'sms' then
  local last = tonumber(redis.call('GET', at('asked-sms', username)) or '')
  local free = last and last <= now and last + tonumber(ARGV[11])
  if free and free > now then return {'cool-down', whole(free)} end
end
local counts = {{at('asked-user', username), ARGV[8]}, {at('asked-all', ''), ARGV[10]}}
if network ~= '' then counts[3] = {at('asked-network', network), ARGV[9]} end
local latest = 0
for _, count in ipairs(counts) do
  local nth = redis.call('ZRANGE', count[1], whole(now), '(' .. whole(now - find), 'BYSCORE', 'REV', 'LIMIT', whole(tonumber(count[2]) - 1), 1, 'WITHSCORES')
  if nth[2] then latest = math.max(latest, tonumber(nth[2])) end
end
if latest > 0 then return {'full', whole(latest + find)} end
for _, count in ipairs(counts) do
  redis.call('ZADD', count[1], whole(now), id)
  redis.call('ZREMRANGEBYSCORE', count[1], '-inf', whole(now - 2 * find))
  redis.call('PEXPIRE', count[1], ARGV[12])
end
if ARGV[4] == 'sms' then redis.call('SET', at('asked-sms', username), whole(now), 'PX', ARGV[12]) end
redis.call('SET', at('asked-session', ARGV[2]), '1', 'PX', ARGV[12])
return {'taken', '0'}
`
