import { z } from 'zod'
import { type Clock, MINUTE, type Milliseconds } from '../clock.ts'
import type { Redis, Reply } from '../storage/redis/redis.ts'
import type { Ban, Counted, Counter, OpenCounter } from './counter.ts'

/** What Redis keeps longer than it is needed. It goes by its own clock, and only clears up. */
const MARGIN: Milliseconds = MINUTE
const WALKED_AT_MOST = 100_000

const number = z.string().regex(/^\d+$/).transform(Number)
const ban = z
  .tuple([
    number,
    z.union([z.literal('').transform(() => null), number]),
    z.enum(['regulation', 'administrator']),
    z.string(),
  ])
  .transform(([began, until, by, reason]): Ban => ({ began, until, by, reason: reason === '' ? null : reason }))
const counted = z.tuple([number, number, z.union([z.literal('').transform(() => null), number])])

// A key's tries and its ban are one hash, so that each operation is one step. All keys of a counter share a hash tag, for the list of bans:
// guesses come at the speed at which passwords are hashed, and one node of a Cluster carries them.
const prelude = `
local function whole(n) return string.format('%.0f', n) end
local base, ends, key = KEYS[1], KEYS[1] .. '|ends', KEYS[1] .. ':' .. ARGV[1]
local now, find, most, lasts, margin = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local h = redis.call('HMGET', key, 'next', 'tries', 'began', 'until', 'by', 'reason')
local following, tries = tonumber(h[1] or '') or 1, {}
for id, at in string.gmatch(h[2] or '', '(%d+)@(%d+)') do tries[#tries + 1] = {tonumber(id), tonumber(at)} end
local ban = h[3] and h[3] ~= '' and {h[3], h[4], h[5], h[6]} or nil
-- What came before the end of a ban was paid for by it.
if ban and ban[2] ~= '' and tonumber(ban[2]) <= now then ban, tries = nil, {} end
-- A clock that was set back must make neither a ban nor a try last for years.
if ban and ban[3] == 'regulation' and tonumber(ban[1]) > now then ban[1], ban[2] = whole(now), whole(now + lasts) end
for _, try in ipairs(tries) do try[2] = math.min(try[2], now) end
local function recent()
  local count = 0
  for _, try in ipairs(tries) do if try[2] > now - find then count = count + 1 end end
  return count
end
local function reconsider() if ban and ban[3] == 'regulation' and recent() < most then ban = nil end end
-- What names a ban is cleared up with the next ones, a few at a time: a flood of names does not fill the lists.
local function sweep()
  for _, over in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', ARGV[2], 'LIMIT', 0, 20)) do
    redis.call('ZREM', ends, over)
    local b = redis.call('HMGET', base .. ':' .. over, 'began', 'until')
    if not b[1] or b[1] == '' or (b[2] ~= '' and tonumber(b[2]) <= now) then redis.call('ZREM', base, over) end
  end
end
local function save()
  local kept = {}
  for _, try in ipairs(tries) do if try[2] > now - find then kept[#kept + 1] = whole(try[1]) .. '@' .. whole(try[2]) end end
  local b = ban or {'', '', '', ''}
  redis.call('HSET', key, 'next', whole(following), 'tries', table.concat(kept, ','), 'began', b[1], 'until', b[2], 'by', b[3], 'reason', b[4])
  if ban then redis.call('ZADD', base, ban[1], ARGV[1]) else redis.call('ZREM', base, ARGV[1]) end
  if ban and ban[2] ~= '' then
    redis.call('ZADD', ends, ban[2], ARGV[1])
    sweep()
  else redis.call('ZREM', ends, ARGV[1]) end
  if ban and ban[2] == '' then redis.call('PERSIST', key)
  else redis.call('PEXPIRE', key, whole(math.max(find, ban and tonumber(ban[2]) - now or 0) + margin)) end
end
`

const scripts = {
  count: `${prelude}
if ban then
  save()
  return {'ban', ban}
end
tries[#tries + 1] = {following, now}
following = following + 1
local left = most - recent()
if left <= 0 then ban = {whole(now), whole(now + lasts), 'regulation', ''} end
save()
return {'counted', {whole(following - 1), whole(math.max(left, 0)), ban and ban[2] or ''}}
`,
  /** ARGV[7]: first id, ARGV[8]: last id. */
  remove: `${prelude}
local kept = {}
for _, try in ipairs(tries) do if try[1] < tonumber(ARGV[7]) or try[1] > tonumber(ARGV[8]) then kept[#kept + 1] = try end end
tries = kept
reconsider()
save()
return 1
`,
  /** ARGV[7]: until, ARGV[8]: reason. */
  ban: `${prelude}
ban = {whole(now), ARGV[7], 'administrator', ARGV[8]}
save()
return 1
`,
  lift: `${prelude}
local was = ban
ban, tries = nil, {}
save()
return was and 1 or 0
`,
  /** ARGV: now, limit, how many are walked at most. Those that are over are dropped from the list on the way. */
  bans: `
local found, over, at = {}, {}, 0
while #found < tonumber(ARGV[2]) and at < tonumber(ARGV[3]) do
  local keys = redis.call('ZREVRANGE', KEYS[1], at, at + 99)
  if #keys == 0 then break end
  at = at + #keys
  for _, key in ipairs(keys) do
    local b = redis.call('HMGET', KEYS[1] .. ':' .. key, 'began', 'until', 'by', 'reason')
    if b[1] and b[1] ~= '' and (b[2] == '' or tonumber(b[2]) > tonumber(ARGV[1])) then
      if #found < tonumber(ARGV[2]) then found[#found + 1] = {key, b} end
    else
      over[#over + 1] = key
    end
  end
end
for _, key in ipairs(over) do redis.call('ZREM', KEYS[1], key) end
return found
`,
}

/** Counters in Redis, shared by any number of Posterns. Rejects with `RedisDown` while it does not answer. */
export function redisCounters(redis: Redis, clock: Clock): OpenCounter {
  const run = {
    count: redis.script(scripts.count),
    remove: redis.script(scripts.remove),
    ban: redis.script(scripts.ban),
    lift: redis.script(scripts.lift),
    bans: redis.script(scripts.bans),
  }
  return (name, { max_retries, find_time, ban_time }): Counter => {
    const base = `counter:{${name}}`
    const about = (key: string) => [key, clock(), find_time, max_retries, ban_time, MARGIN]
    return {
      async banned(key) {
        const found = banOf(await redis.command('HMGET', `${base}:${key}`, 'began', 'until', 'by', 'reason'))
        const now = clock()
        if (found === null || (found.until !== null && found.until <= now)) return null
        // As when it is counted next: the clock was set back.
        return found.by === 'regulation' && found.began > now ? { ...found, began: now, until: now + ban_time } : found
      },
      async count(key): Promise<Counted | { readonly ban: Ban }> {
        const [what, about_] = z
          .tuple([z.enum(['ban', 'counted']), z.unknown()])
          .parse(await run.count([base], about(key)))
        if (what === 'ban') return { ban: ban.parse(about_) }
        const [id, left, bannedUntil] = counted.parse(about_)
        return { id, left, bannedUntil }
      },
      forget: async (key, upTo) => void (await run.remove([base], [...about(key), 0, upTo])),
      takeBack: async (key, id) => void (await run.remove([base], [...about(key), id, id])),
      ban: async (key, { until, reason }) => void (await run.ban([base], [...about(key), until ?? '', reason ?? ''])),
      lift: async key => (await run.lift([base], about(key))) === 1,
      async bans(limit) {
        const reply = await run.bans([base], [clock(), limit, WALKED_AT_MOST])
        return z
          .array(z.tuple([z.string(), ban]))
          .parse(reply)
          .map(([key, found]) => ({ key, ...found }))
      },
    }
  }
}

function banOf(reply: Reply): Ban | null {
  const fields = z.array(z.string().nullable()).parse(reply)
  return fields[0] === null || fields[0] === '' ? null : ban.parse(fields)
}
