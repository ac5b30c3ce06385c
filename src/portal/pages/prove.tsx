import type { VNode } from 'preact'
import type { PushView } from '../../duo/duo.ts'
import { fieldOf } from './choose.tsx'
import {
  Actions,
  Button,
  Form,
  Heading,
  LinkButton,
  Name,
  NotArrived,
  Said,
  Sign,
  SignOutButton,
  siteName,
  Time,
} from './parts.tsx'
import type { Shell, View } from './view.ts'

const RADIUS = 32
const PATH_SHOWN_AT_MOST = 120

/** One unit of the path is one second of a minute. It runs by itself, without a script. */
function Ring({ shell, left }: { shell: Shell; left: number }): VNode {
  const gone = 60 - Math.min(60, left)
  return (
    <div class="ring" role="timer" aria-label={shell.words.text('wait.push.timer')}>
      <svg viewBox="0 0 72 72" width="72" height="72" aria-hidden="true" focusable="false">
        <circle class="track" cx="36" cy="36" r={RADIUS} />
        <circle
          class="value"
          cx="36"
          cy="36"
          r={RADIUS}
          pathLength={60}
          stroke-dasharray="60"
          stroke-dashoffset={-gone}
        >
          <animate
            attributeName="stroke-dashoffset"
            from={-gone}
            to={-60}
            dur={`${Math.max(1, left)}s`}
            fill="freeze"
          />
        </circle>
      </svg>
      <span class="seconds" data-seconds>
        {left}
      </span>
    </div>
  )
}

/** Digits that the person compares or types, in groups of three; copied they are bare, and a screen reader says them one by one. */
function Code({ shell, code }: { shell: Shell; code: NonNullable<PushView['code']> }): VNode {
  const { words } = shell
  const groups = code.digits.match(/.{1,3}/g) ?? []
  return (
    <div class="code-block">
      <p class="digits notranslate" dir="ltr" aria-hidden="true" data-code={code.digits}>
        {groups.map((group, i) => (
          <span key={i}>{group}</span>
        ))}
      </p>
      <p class="unseen">{words.text('wait.push.code', { digits: [...code.digits].join(' ') })}</p>
      <button
        type="button"
        class="small"
        data-script-only
        hidden
        data-copy-code={code.digits}
        data-done={words.text('common.copied')}
      >
        {words.text('wait.push.copy')}
      </button>
    </div>
  )
}

const askedOf = (shell: Shell, { code, device }: PushView) =>
  shell.words.rich(
    code === null ? 'wait.push.body' : code.kind === 'verified' ? 'wait.push.verified' : 'wait.push.matching',
    { device: <Name>{device.name}</Name> },
  )

/** `wait.push` and `wait.call`. @param paused the person asked the page not to check by itself (without script) */
export function waitPage(shell: Shell, push: PushView, paused: boolean): View {
  const { words } = shell
  const call = push.factor === 'phone'
  const left = Math.max(0, Math.ceil((push.deadline - shell.now) / 1000))
  const wait = (extra: Record<string, string>) => shell.url('/prove/wait', extra)
  return {
    id: call ? 'wait.call' : push.code === null ? 'wait.push' : `wait.${push.code.kind}`,
    status: 200,
    title: call ? 'wait.call.title' : 'wait.push.title',
    icon: 'waiting',
    ownStatus: true,
    again: paused ? null : { url: wait({ held: '' }), seconds: 1 },
    body: (
      <div
        data-poll={shell.url('/api/transaction')}
        data-after={push.seq}
        data-left={left}
        data-live30={words.text('wait.push.live30')}
        data-live15={words.text(call ? 'wait.call.live15' : 'wait.push.live15')}
        data-lost={words.text('wait.push.lost')}
        data-here={wait({})}
      >
        <Heading shell={shell} word={call ? 'wait.call.h1' : 'wait.push.h1'} />
        <p>{call ? words.rich('wait.call.body', { device: <Name>{push.device.name}</Name> }) : askedOf(shell, push)}</p>
        {push.code !== null && <Code shell={shell} code={push.code} />}
        {push.code?.kind === 'matching' && <p class="hint">{words.text('wait.push.matching-hint')}</p>}
        <div class="waiting">
          <Ring shell={shell} left={left} />
          <div>
            <p class="status" role="status" data-initial={words.text(call ? 'wait.call.live' : 'wait.push.live')} />
            <p class="alert" role="alert" data-alert />
            <Said shell={shell} said={push.said} />
          </div>
        </div>
        {call ? <p class="hint">{words.text('wait.call.not-you')}</p> : <Shown shell={shell} push={push} />}
        <Actions>
          <LinkButton kind="second" href={shell.url('/prove', { another: '' })}>
            {words.text('common.another-way')}
          </LinkButton>
          <Form shell={shell} action="/prove/cancel">
            <Button kind="second">{words.text('common.cancel')}</Button>
          </Form>
        </Actions>
        {!call && <NotArrived shell={shell} />}
        <noscript>
          <p class="self">
            {paused ? (
              <a href={wait({})}>{words.text('wait.push.check')}</a>
            ) : (
              <a href={wait({ paused: '' })}>{words.text('wait.push.stop')}</a>
            )}
          </p>
        </noscript>
      </div>
    ),
  }
}

/** What the phone shows of the push: exactly what was sent with it. */
function Shown({ shell, push: { facts } }: { shell: Shell; push: PushView }): VNode {
  const { words } = shell
  return (
    <section class="shown" aria-labelledby="shown">
      <h2 id="shown">{words.text('wait.push.shows')}</h2>
      <dl class="facts">
        <div>
          <dt>{words.text('wait.push.application')}</dt>
          <dd>
            <bdi>{shell.config.portal.name}</bdi>
          </dd>
        </div>
        {facts.site !== null && (
          <div>
            <dt>{words.text('common.site')}</dt>
            <dd>{siteName(facts.site)}</dd>
          </div>
        )}
        {facts.site !== null && facts.path !== null && (
          <div>
            <dt>{words.text('wait.push.page')}</dt>
            <dd dir="ltr">
              {facts.path.length > PATH_SHOWN_AT_MOST ? `${facts.path.slice(0, PATH_SHOWN_AT_MOST)}…` : facts.path}
            </dd>
          </div>
        )}
        {facts.ip !== undefined && (
          <div>
            <dt>{words.text('wait.push.from')}</dt>
            <dd dir="ltr">{facts.ip}</dd>
          </div>
        )}
        <div>
          <dt>{words.text('wait.push.browser')}</dt>
          <dd>{facts.browser}</dd>
        </div>
        <div>
          <dt>{words.text('common.time')}</dt>
          <dd>
            <Time shell={shell} at={facts.at} as="time" />
          </dd>
        </div>
      </dl>
      <p class="hint">{words.rich('wait.push.different')}</p>
    </section>
  )
}

const waitsFor = {
  busy: { id: 'wait.busy', h1: 'wait.busy.h1', body: 'wait.busy.body' },
  denied: { id: 'wait.paused', h1: 'wait.paused.h1', body: 'wait.paused.body' },
  fraud: { id: 'wait.locked', h1: 'wait.locked.h1', body: 'wait.locked.body' },
  budget: { id: 'wait.budget', h1: 'wait.paused.h1', body: 'wait.budget.body' },
} as const

/** Whether `duo_api.factors` has a way that needs no ringing. */
const takesPasscodes = ({ config }: Shell): boolean =>
  config.duo_api?.factors.some(factor => factor === 'passcode' || factor === 'sms') === true

/** While nothing may ring: what works now comes first. */
function PasscodeOrAgain({ shell }: { shell: Shell }): VNode {
  const passcodes = takesPasscodes(shell)
  return (
    <>
      {passcodes && (
        <LinkButton kind="primary" href={shell.url('/prove/passcode')}>
          {shell.words.text('choose.passcode')}
        </LinkButton>
      )}
      <LinkButton kind={passcodes ? 'second' : 'primary'} href={shell.url('/prove')}>
        {shell.words.text('common.try-again')}
      </LinkButton>
    </>
  )
}

/**
 * `wait.busy`: another session holds the push; a pause after a denial; the lock after a report; too many in a while. A passcode is never held.
 * Not who holds it, nor from where: whoever reads this may have the password alone. The phone shows it to its owner.
 */
export function busyPage(shell: Shell, kind: keyof typeof waitsFor, until: number): View {
  const { words } = shell
  const { id, h1, body } = waitsFor[kind]
  return {
    id,
    status: 200,
    title: 'wait.busy.title',
    icon: 'attention',
    body: (
      <>
        <Sign kind="warn" />
        <Heading shell={shell} word={h1} focus />
        <p>
          {words.rich(body, {
            time: <Time shell={shell} at={until} as="time" />,
            left: <Time shell={shell} at={until} as="left" />,
          })}
        </p>
        {kind === 'busy' && <p>{words.text('wait.busy.held')}</p>}
        {takesPasscodes(shell) && <p>{words.text('wait.busy.passcode')}</p>}
        <Actions>
          <PasscodeOrAgain shell={shell} />
          <SignOutButton shell={shell} />
        </Actions>
      </>
    ),
  }
}

/** `end.denied`. @param again when the next one can go out; null: now */
export function deniedPushPage(shell: Shell, { device, factor }: PushView, again: number | null): View {
  const { words } = shell
  const values = { device: <Name>{device.name}</Name>, how: factor }
  return {
    id: 'end.denied',
    status: 200,
    title: 'end.denied.title',
    icon: 'attention',
    body: (
      <>
        <Sign kind="danger" />
        <Heading shell={shell} word="end.denied.h1" focus />
        <p>
          {again === null
            ? words.rich('end.denied.body', values)
            : words.rich('end.denied.body-at', { ...values, time: <Time shell={shell} at={again} as="time" /> })}
        </p>
        <p>{words.text('end.denied.not-you')}</p>
        <Actions>
          {again === null ? (
            <>
              <LinkButton kind="primary" href={shell.url('/prove')}>
                {words.text('common.try-again')}
              </LinkButton>
              <LinkButton kind="second" href={shell.url('/prove', { another: '' })}>
                {words.text('common.another-way')}
              </LinkButton>
            </>
          ) : (
            <PasscodeOrAgain shell={shell} />
          )}
          <SignOutButton shell={shell} />
        </Actions>
      </>
    ),
  }
}

/** `end.timeout` */
export function timeoutPage(shell: Shell, { device, factor }: PushView): View {
  const { words } = shell
  const call = factor === 'phone'
  const way = fieldOf({ kind: call ? 'phone' : 'push', device: device.id })
  return {
    id: call ? 'end.timeout-call' : 'end.timeout',
    status: 200,
    title: 'end.timeout.title',
    icon: 'attention',
    body: (
      <>
        <Sign kind="warn" />
        <Heading shell={shell} word="end.timeout.h1" focus />
        <p>{words.rich('end.timeout.body', { device: <Name>{device.name}</Name> })}</p>
        <Form shell={shell} action="/prove" extra={{ way }}>
          <Button kind="primary" busy={words.text('choose.busy')}>
            {words.text(call ? 'end.timeout.call' : 'end.timeout.primary')}
          </Button>
        </Form>
        <Actions>
          <LinkButton kind="second" href={shell.url('/prove', { another: '' })}>
            {words.text('common.another-way')}
          </LinkButton>
          <SignOutButton shell={shell} />
        </Actions>
        {!call && <NotArrived shell={shell} open />}
      </>
    ),
  }
}
