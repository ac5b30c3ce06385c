import type { FastifyBaseLogger } from 'fastify'
import { type Audit, untilField } from '../telemetry/audit.ts'
import type { AuthResult } from './answers.ts'
import type { Asked } from './asked.ts'
import type { Asking } from './asking.ts'
import type { DuoClient } from './client.ts'
import type { Duo, Held, Owner, PasscodeOutcome, People, PushView, RequestFacts } from './duo.ts'
import { type DuoFailure, mayHaveActed } from './failure.ts'
import type { KeptWays } from './kept-ways.ts'
import { isSameWay, offerWithout, SAID_LIMIT } from './offer.ts'
import { plainText } from './text.ts'

interface Parts {
  readonly asking: Pick<Asking, 'ask'>
  readonly client: Pick<DuoClient, 'authSync'>
  readonly asked: Pick<Asked, 'take' | 'note'>
  readonly kept: KeptWays
  readonly people: Pick<People, 'ban' | 'tryPasscode'>
  /** Makes an approval that the session may claim. */
  readonly approve: (owner: Owner, facts: RequestFacts, how: { said: string; bypassed: boolean }) => Promise<PushView>
  /** Keeps Duo's token for a browser that it remembers from here on. */
  readonly hold: (from: { pushId: string; username: string; browser: string }, token: string) => Promise<void>
  readonly log: FastifyBaseLogger
  readonly audit: Audit
}

// Of Duo Mobile, SMS and tokens: digits. Of a Yubikey: 44 letters. The bound keeps a pasted page out.
const passcodeShape = /^[0-9A-Za-z]{4,64}$/

/** A passcode as it goes to Duo: without the spaces and hyphens that people type into it. Undefined when it can be none. */
function passcodeFrom(typed: string): string | undefined {
  if (typed.length > 200) return undefined
  const passcode = typed.normalize('NFKC').replace(/[\s-]/g, '')
  return passcodeShape.test(passcode) ? passcode : undefined
}

/** The factors that Duo answers at once: passcodes, and the messages that bring some. */
export function openCodes(parts: Parts): Pick<Duo, 'passcode' | 'sms'> {
  const { asking, client, asked, kept, people, approve, hold, log, audit } = parts

  const isLockedOut = ({ status }: AuthResult) => status === 'locked_out'

  async function banned({ username }: Owner, { ip }: RequestFacts): Promise<Held | null> {
    const ban = await people.ban(username, { ip })
    return ban === null ? null : { outcome: 'banned', ...ban }
  }

  const about = ({ username }: Owner, { ip, site }: RequestFacts) => ({
    username,
    ...(ip === undefined ? {} : { ip }),
    ...(site === null ? {} : { host: site }),
  })

  function failed(
    owner: Owner,
    facts: RequestFacts,
    failure: DuoFailure,
    event: 'passcode.failed' | 'sms.failed',
  ): Held {
    log.warn({ ...failure }, 'Duo did not take a passcode, or sent none')
    audit(event, { ...about(owner, facts), reason: failure.reason, detail: failure.detail })
    return { outcome: 'offer', offer: offerWithout(failure) }
  }

  async function passcode(owner: Owner, typed: string, facts: RequestFacts): Promise<PasscodeOutcome> {
    const code = passcodeFrom(typed)
    if (code === undefined) return { outcome: 'malformed' }
    const barred = await banned(owner, facts)
    if (barred !== null) return barred
    const { offer, name } = await asking.ask(owner, facts, undefined)
    // A text brings passcodes too, and Duo tells no two kinds apart.
    const isOffered =
      offer.kind === 'choose'
        ? offer.ways.some(({ kind }) => kind === 'passcode' || kind === 'sms')
        : offer.kind === 'no-device' && offer.passcode
    if (!isOffered) return { outcome: 'offer', offer }

    const counted = await people.tryPasscode(owner.username, { ip: facts.ip })
    if (!('triesLeft' in counted)) return { outcome: 'banned', ...counted.banned }
    await asked.note(owner)
    const wrong = (words: string): PasscodeOutcome => {
      const { brings, triesLeft } = counted
      const ban = untilField(brings?.until ?? null)
      audit('passcode.wrong', { ...about(owner, facts), ...ban, detail: words })
      return brings === null ? { outcome: 'wrong', said: words, triesLeft } : { outcome: 'banned', ...brings }
    }
    const whence = { ipaddr: facts.ip, hostname: facts.site ?? undefined }
    const answer = await client.authSync({ username: name, factor: 'passcode', passcode: code, ...whence })
    if (!answer.ok) {
      const { failure } = answer
      const isWrong = failure.kind === 'request' && failure.parameter === 'passcode'
      if (isWrong) return wrong('')
      if (!mayHaveActed(failure)) await counted.givenBack()
      return failed(owner, facts, failure, 'passcode.failed')
    }
    const said = plainText(answer.value.status_msg, SAID_LIMIT)
    // Only `result` decides. Duo's words and status say what sort of no it is.
    if (answer.value.result === 'allow') {
      await counted.succeeded()
      if ((await kept.of(owner.username))?.way.kind !== 'sms') await kept.keep(owner.username, { kind: 'passcode' }, '')
      const bypassed = answer.value.status === 'bypass'
      const push = await approve(owner, facts, { said, bypassed })
      const token = answer.value.trusted_device_token
      if (token !== undefined) await hold({ pushId: push.id, username: owner.username, browser: facts.browser }, token)
      audit('passcode.accepted', { ...about(owner, facts), detail: said })
      return { outcome: 'accepted', push }
    }
    if (isLockedOut(answer.value)) {
      audit('duo.locked-out', { ...about(owner, facts), reason: 'duo-locked', detail: said })
      return { outcome: 'locked', said }
    }
    return wrong(said)
  }

  return {
    passcode,

    async sms(owner, device, facts) {
      const barred = await banned(owner, facts)
      if (barred !== null) return barred
      const { offer, name } = await asking.ask(owner, facts, undefined)
      if (offer.kind !== 'choose') return { outcome: 'offer', offer }
      const way = { kind: 'sms' as const, device }
      if (!offer.ways.some(one => isSameWay(one, way))) return { outcome: 'unknown-device' }
      const refused = await asked.take({ ...owner, ip: facts.ip }, 'sms')
      if (refused !== null) return refused
      const whence = { ipaddr: facts.ip, hostname: facts.site ?? undefined }
      const answer = await client.authSync({ username: name, factor: 'sms', device, ...whence })
      if (!answer.ok) return failed(owner, facts, answer.failure, 'sms.failed')
      const said = plainText(answer.value.status_msg, SAID_LIMIT)
      const shown = offer.devices.find(({ id }) => id === device)?.name ?? ''
      // A message is no proof of anything: whatever Duo answers here, nobody is let in by it.
      if (answer.value.status !== 'sent') {
        const reason = isLockedOut(answer.value) ? { reason: 'duo-locked' } : {}
        audit(isLockedOut(answer.value) ? 'duo.locked-out' : 'sms.failed', {
          ...about(owner, facts),
          ...reason,
          detail: said,
        })
        return { outcome: 'refused', said }
      }
      await kept.keep(owner.username, way, shown)
      audit('sms.sent', { ...about(owner, facts), device: shown })
      const after = await asking.ask(owner, facts, undefined)
      const devices = after.offer.kind === 'choose' ? after.offer.devices : []
      return { outcome: 'sent', said, nextCode: devices.find(({ id }) => id === device)?.nextCode ?? null }
    },
  }
}
