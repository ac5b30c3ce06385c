import type { VNode } from 'preact'
import type { Device, PushView } from '../../duo/duo.ts'
import { Icon } from '../look/icons.tsx'
import {
  Actions,
  Button,
  Form,
  Heading,
  LinkButton,
  Name,
  NotArrived,
  Notice,
  Reference,
  Said,
  Sign,
  SignOutButton,
  siteName,
  Time,
  wantedSite,
} from './parts.tsx'
import type { Shell, View } from './view.ts'

/** What the page where a device is chosen has to say first. */
export type ChooseNews =
  | { readonly kind: 'cancelled' | 'unknown-device' }
  | { readonly kind: 'failed'; readonly ref: string }

function ChooseNotice({ shell, news }: { shell: Shell; news: ChooseNews }): VNode {
  const { words } = shell
  if (news.kind === 'cancelled')
    return (
      <Notice kind="info">
        <p>{words.text('end.cancelled.body')}</p>
      </Notice>
    )
  if (news.kind === 'unknown-device')
    return (
      <Notice kind="warn">
        <p>{words.text('choose.unknown')}</p>
      </Notice>
    )
  return (
    <Notice kind="warn">
      <p>{words.text('end.failed.body')}</p>
    </Notice>
  )
}

function DeviceTile({ shell, device, chosen }: { shell: Shell; device: Device; chosen: boolean }): VNode {
  const { words } = shell
  return (
    <label class="tile">
      <input type="radio" name="device" value={device.id} defaultChecked={chosen} />
      <Icon name="phone" />
      <span class="tile-words">
        <b>{words.text('choose.push')}</b>
        <span class="quiet">
          <bdi>{device.name}</bdi>
          {device.number !== '' && device.number !== device.name && (
            <bdi class="number" dir="ltr">
              {device.number}
            </bdi>
          )}
        </span>
      </span>
    </label>
  )
}

/** `choose`. A single device shows no radios: the button names it. */
export function choosePage(
  shell: Shell,
  devices: readonly Device[],
  preferred: string | null,
  news: ChooseNews | undefined,
): View {
  const { words } = shell
  const [only] = devices.length === 1 ? devices : []
  const chosen = devices.find(device => device.id === preferred) ?? devices[0]
  return {
    id: news === undefined ? (only ? 'choose.one' : 'choose') : `choose.${news.kind}`,
    status: 200,
    title:
      news?.kind === 'cancelled'
        ? 'end.cancelled.title'
        : news?.kind === 'failed'
          ? 'end.failed.title'
          : 'choose.title',
    icon: news?.kind === 'failed' ? 'attention' : 'door',
    body: (
      <>
        {news && <ChooseNotice shell={shell} news={news} />}
        <Heading shell={shell} word="choose.h1" />
        <p class="lede">
          {shell.site === null
            ? words.text('choose.body-home')
            : words.rich('choose.body', { site: wantedSite(shell) })}
        </p>
        {only ? (
          <Form shell={shell} action="/prove" extra={{ device: only.id }}>
            <Button kind="primary" busy={words.text('choose.busy')}>
              {words.rich('choose.send', { device: <bdi>{only.name}</bdi> })}
            </Button>
          </Form>
        ) : (
          <Form shell={shell} action="/prove">
            <fieldset>
              <legend>{words.text('choose.legend')}</legend>
              <div class="tiles">
                {devices.map(device => (
                  <DeviceTile key={device.id} shell={shell} device={device} chosen={device === chosen} />
                ))}
              </div>
            </fieldset>
            <Button kind="primary" busy={words.text('choose.busy')}>
              {words.text('common.continue')}
            </Button>
          </Form>
        )}
        {news?.kind === 'failed' && <Reference shell={shell} facts={{ reference: news.ref, reason: 'push-failed' }} />}
        <Actions>
          <SignOutButton shell={shell} />
        </Actions>
      </>
    ),
  }
}

/** Duo lets the person pass: still one press of a button, since a GET raises nothing. */
export function allowedPage(shell: Shell, said: string): View {
  const { words } = shell
  return {
    id: 'choose.allow',
    status: 200,
    title: 'choose.title',
    icon: 'door',
    body: (
      <>
        <Heading shell={shell} word="choose.allow.h1" />
        <p>{words.text('choose.allow.body')}</p>
        <Said shell={shell} said={said} />
        <Form shell={shell} action="/prove">
          <Button kind="primary">{words.text('common.continue')}</Button>
        </Form>
      </>
    ),
  }
}

const RADIUS = 32

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

/** `wait.push`. @param paused the person asked the page not to check by itself (without script) */
export function waitPage(shell: Shell, push: PushView, paused: boolean): View {
  const { words } = shell
  const left = Math.max(0, Math.ceil((push.deadline - shell.now) / 1000))
  const wait = (extra: Record<string, string>) => shell.url('/prove/wait', extra)
  return {
    id: 'wait.push',
    status: 200,
    title: 'wait.push.title',
    icon: 'waiting',
    ownStatus: true,
    again: paused ? null : { url: wait({ held: '' }), seconds: 1 },
    body: (
      <div
        data-poll={shell.url('/api/transaction')}
        data-after={push.seq}
        data-left={left}
        data-live30={words.text('wait.push.live30')}
        data-live15={words.text('wait.push.live15')}
        data-lost={words.text('wait.push.lost')}
        data-here={wait({})}
      >
        <Heading shell={shell} word="wait.push.h1" />
        <p>{words.rich('wait.push.body', { device: <Name>{push.device.name}</Name> })}</p>
        <div class="waiting">
          <Ring shell={shell} left={left} />
          <div>
            <p class="status" role="status" data-initial={words.text('wait.push.live')} />
            <p class="alert" role="alert" data-alert />
            <Said shell={shell} said={push.said} />
          </div>
        </div>
        <section class="shown" aria-labelledby="shown">
          <h2 id="shown">{words.text('wait.push.shows')}</h2>
          <dl class="facts">
            <div>
              <dt>{words.text('common.site')}</dt>
              <dd>{push.facts.site === null ? <bdi>{shell.config.portal.name}</bdi> : siteName(push.facts.site)}</dd>
            </div>
            {push.facts.ip !== undefined && (
              <div>
                <dt>{words.text('wait.push.from')}</dt>
                <dd dir="ltr">{push.facts.ip}</dd>
              </div>
            )}
            <div>
              <dt>{words.text('wait.push.browser')}</dt>
              <dd>{push.facts.browser}</dd>
            </div>
            <div>
              <dt>{words.text('common.time')}</dt>
              <dd>
                <Time shell={shell} at={push.facts.at} as="time" />
              </dd>
            </div>
          </dl>
          <p class="hint">{words.rich('wait.push.different')}</p>
        </section>
        <Actions>
          <LinkButton kind="second" href={shell.url('/prove', { another: '' })}>
            {words.text('common.another-way')}
          </LinkButton>
          <Form shell={shell} action="/prove/cancel">
            <Button kind="second">{words.text('common.cancel')}</Button>
          </Form>
        </Actions>
        <NotArrived shell={shell} />
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

/** `wait.busy`: another session holds the push, or a cool-down runs. */
export function busyPage(shell: Shell, kind: 'busy' | 'paused', until: number): View {
  const { words } = shell
  return {
    id: kind === 'busy' ? 'wait.busy' : 'wait.paused',
    status: 200,
    title: 'wait.busy.title',
    icon: 'attention',
    body: (
      <>
        <Sign kind="warn" />
        <Heading shell={shell} word={kind === 'busy' ? 'wait.busy.h1' : 'wait.paused.h1'} focus />
        <p>
          {words.rich(kind === 'busy' ? 'wait.busy.body' : 'wait.paused.body', {
            time: <Time shell={shell} at={until} as="time" />,
            left: <Time shell={shell} at={until} as="left" />,
          })}
        </p>
        <Actions>
          <LinkButton kind="primary" href={shell.url('/prove')}>
            {words.text('common.try-again')}
          </LinkButton>
          <SignOutButton shell={shell} />
        </Actions>
      </>
    ),
  }
}

/** `end.denied` */
export function deniedPushPage(shell: Shell, device: string, again: number | null): View {
  const { words } = shell
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
            ? words.rich('end.denied.body', { device: <Name>{device}</Name> })
            : words.rich('end.denied.body-at', {
                device: <Name>{device}</Name>,
                time: <Time shell={shell} at={again} as="time" />,
              })}
        </p>
        <p>{words.text('end.denied.not-you')}</p>
        <Actions>
          <LinkButton kind="primary" href={shell.url('/prove')}>
            {words.text('common.try-again')}
          </LinkButton>
          <SignOutButton shell={shell} />
        </Actions>
      </>
    ),
  }
}

/** `end.timeout` */
export function timeoutPage(shell: Shell, device: PushView['device']): View {
  const { words } = shell
  return {
    id: 'end.timeout',
    status: 200,
    title: 'end.timeout.title',
    icon: 'attention',
    body: (
      <>
        <Sign kind="warn" />
        <Heading shell={shell} word="end.timeout.h1" focus />
        <p>{words.rich('end.timeout.body', { device: <Name>{device.name}</Name> })}</p>
        <Form shell={shell} action="/prove" extra={{ device: device.id }}>
          <Button kind="primary" busy={words.text('choose.busy')}>
            {words.text('end.timeout.primary')}
          </Button>
        </Form>
        <Actions>
          <LinkButton kind="second" href={shell.url('/prove')}>
            {words.text('common.another-way')}
          </LinkButton>
        </Actions>
        <NotArrived shell={shell} open />
      </>
    ),
  }
}
