import type { ComponentChildren, VNode } from 'preact'
import type { Device, Offer, Way } from '../../duo/duo.ts'
import type { Next } from '../../login/login.ts'
import { Icon } from '../look/icons.tsx'
import type { WordKey } from '../words/words.ts'
import { Actions, Button, Form, Heading, Notice, Reference, Said, SignOutButton, wantedSite } from './parts.tsx'
import type { Shell, View } from './view.ts'

type Choice = Extract<Offer, { kind: 'choose' }>
type Wanted = Extract<Next, { to: 'prove' }>

/** What the page where a way is chosen has to say first. */
export type ChooseNews =
  | { readonly kind: 'cancelled' | 'unknown-device' }
  | { readonly kind: 'failed'; readonly ref: string }
  | { readonly kind: 'sms-refused'; readonly said: string }
  /** The device that was used last is gone from Duo; its name may be empty. */
  | { readonly kind: 'forgotten'; readonly device: string }

/** The value of a form's field for a way: `push:DPABC`, `passcode`. */
export const fieldOf = (way: Way): string => (way.kind === 'passcode' ? way.kind : `${way.kind}:${way.device}`)

/** The way in a form's field; undefined where there is none, or no such one. Whether Duo offers it is asked of Duo. */
export function wayFrom(field: string | undefined): Way | undefined {
  if (field === 'passcode') return { kind: 'passcode' }
  const [, kind, device] = /^(push|phone|sms):([\x21-\x7e]{1,100})$/.exec(field ?? '') ?? []
  return (kind === 'push' || kind === 'phone' || kind === 'sms') && device !== undefined ? { kind, device } : undefined
}

function ChooseNotice({ shell, news }: { shell: Shell; news: ChooseNews }): VNode {
  const { words } = shell
  switch (news.kind) {
    case 'cancelled':
      return (
        <Notice kind="info">
          <p>{words.text('end.cancelled.body')}</p>
        </Notice>
      )
    case 'unknown-device':
      return (
        <Notice kind="warn">
          <p>{words.text('choose.unknown')}</p>
        </Notice>
      )
    case 'failed':
      return (
        <Notice kind="warn">
          <p>{words.text('end.failed.body')}</p>
        </Notice>
      )
    case 'sms-refused':
      return (
        <Notice kind="warn">
          <p>{words.text('choose.sms-refused')}</p>
          <Said shell={shell} said={news.said} />
        </Notice>
      )
    case 'forgotten':
      return (
        <Notice kind="info">
          <p>
            {news.device === ''
              ? words.text('choose.forgotten')
              : words.rich('choose.forgotten-device', { device: <bdi>{news.device}</bdi> })}
          </p>
        </Notice>
      )
  }
}

/** Of a number that Duo masks, what is left: `0100`. */
const lastDigits = (number: string): string => /\d{2,}$/.exec(number.trim())?.[0] ?? ''

/** `Pixel 9`, and `ending 0100` where the name alone may not tell which phone it is. */
export function DeviceName({ shell, device }: { shell: Shell; device: Device }): VNode {
  const ending = lastDigits(device.number)
  if (ending === '' || device.name.endsWith(ending)) return <bdi>{device.name}</bdi>
  return (
    <>
      {shell.words.rich('choose.ending', {
        device: <bdi>{device.name}</bdi>,
        digits: (
          <bdi class="ending" dir="ltr">
            {ending}
          </bdi>
        ),
      })}
    </>
  )
}

export const icons = { push: 'phone', phone: 'call', sms: 'text', passcode: 'key' } as const
export const does = {
  push: 'choose.push',
  phone: 'choose.phone',
  sms: 'choose.sms',
  passcode: 'choose.passcode',
} as const

function WayWords({ shell, way, devices }: { shell: Shell; way: Way; devices: readonly Device[] }): VNode {
  const { words } = shell
  const device = way.kind === 'passcode' ? undefined : devices.find(({ id }) => id === way.device)
  return (
    <>
      <Icon name={icons[way.kind]} />
      <span class="tile-words">
        <b>{words.text(does[way.kind])}</b>
        <span class="quiet">
          {device === undefined ? words.text('choose.passcode-from') : <DeviceName shell={shell} device={device} />}
        </span>
      </span>
    </>
  )
}

/** What a single way's button says. */
function SendWords({ shell, way, devices }: { shell: Shell; way: Way; devices: readonly Device[] }): ComponentChildren {
  const { words } = shell
  if (way.kind === 'passcode') return words.text('choose.passcode')
  const device = devices.find(({ id }) => id === way.device)?.name ?? ''
  const key = { push: 'choose.send', phone: 'choose.call', sms: 'choose.send-text' } as const
  return words.rich(key[way.kind], { device: <bdi>{device}</bdi> })
}

function whyAsked(shell: Shell, wanted: Wanted | null): ComponentChildren {
  const { words } = shell
  if (shell.site === null) return words.text(shell.wantsSettings ? 'choose.body-settings' : 'choose.body-home')
  const site = wantedSite(shell)
  if (wanted?.why === 'factor') return words.rich('choose.factor', { site })
  if (wanted?.why === 'age' && wanted.maxAge !== null)
    return words.rich('choose.age', { site, duration: words.duration(wanted.maxAge) })
  return words.rich('choose.body', { site })
}

/** The box that lets this browser pass for a while, where the configuration allows it. */
export function RememberBox({ shell }: { shell: Shell }): VNode | null {
  const { words, config } = shell
  if (!config.duo_api?.remembered_devices) return null
  return (
    <div class="check">
      <input type="checkbox" id="remember" name="remember" value="true" aria-describedby="remember-hint" />
      <label for="remember">
        {words.text('choose.remember')}
        <span class="hint" id="remember-hint">
          {words.text('choose.remember-hint')}
        </span>
      </label>
    </div>
  )
}

/** One device: the way used last, or the first, is the button, and the others stand below it. */
function OneDevice({ shell, choice: { ways, devices, preferred } }: { shell: Shell; choice: Choice }): VNode {
  const { words } = shell
  const first = preferred ?? ways[0] ?? { kind: 'passcode' }
  const others = ways.filter(way => fieldOf(way) !== fieldOf(first))
  return (
    <Form shell={shell} action="/prove">
      <Button kind="primary" name="way" value={fieldOf(first)} busy={words.text('choose.busy')}>
        <SendWords shell={shell} way={first} devices={devices} />
      </Button>
      <RememberBox shell={shell} />
      {others.length > 0 && (
        <div class="others">
          <h2 id="others">{words.text('choose.others')}</h2>
          <ul class="tiles" aria-labelledby="others">
            {others.map(way => (
              <li key={fieldOf(way)}>
                <button type="submit" class="tile" name="way" value={fieldOf(way)}>
                  <WayWords shell={shell} way={way} devices={devices} />
                  <Icon name="chevron" />
                </button>
              </li>
            ))}
          </ul>
        </div>
      )}
    </Form>
  )
}

/** All ways, one of them chosen. */
export function WayChoice({ shell, choice, legend }: { shell: Shell; choice: Choice; legend: WordKey }): VNode {
  const { ways, devices, preferred } = choice
  const chosen = preferred ?? ways[0]
  return (
    <fieldset>
      <legend>{shell.words.text(legend)}</legend>
      <div class="tiles">
        {ways.map(way => (
          <label key={fieldOf(way)} class="tile">
            <input
              type="radio"
              name="way"
              value={fieldOf(way)}
              defaultChecked={chosen !== undefined && fieldOf(way) === fieldOf(chosen)}
            />
            <WayWords shell={shell} way={way} devices={devices} />
          </label>
        ))}
      </div>
    </fieldset>
  )
}

function SeveralDevices({ shell, choice }: { shell: Shell; choice: Choice }): VNode {
  const { words } = shell
  return (
    <Form shell={shell} action="/prove">
      <WayChoice shell={shell} choice={choice} legend="choose.legend" />
      <RememberBox shell={shell} />
      <Button kind="primary" busy={words.text('choose.busy')}>
        {words.text('common.continue')}
      </Button>
    </Form>
  )
}

/** `choose`. @param wanted what the wanted site needs; null where it needs nothing more */
export function choosePage(shell: Shell, choice: Choice, news: ChooseNews | undefined, wanted: Wanted | null): View {
  const one = choice.devices.length <= 1
  const plain =
    wanted?.why === 'age' || wanted?.why === 'factor' ? `choose.${wanted.why}` : one ? 'choose.one' : 'choose'
  return {
    id: news === undefined ? plain : `choose.${news.kind}`,
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
        <p class="lede">{whyAsked(shell, wanted)}</p>
        {one ? <OneDevice shell={shell} choice={choice} /> : <SeveralDevices shell={shell} choice={choice} />}
        {news?.kind === 'failed' && <Reference shell={shell} facts={{ reference: news.ref, reason: 'push-failed' }} />}
        <Actions>
          <SignOutButton shell={shell} />
        </Actions>
      </>
    ),
  }
}

/**
 * Nothing is asked of the person: still one press of a button, since a GET raises nothing.
 * @param said Duo's words where it lets the person pass; null where Duo cannot be asked, and the configuration lets people pass then
 */
export function allowedPage(shell: Shell, said: string | null): View {
  const { words } = shell
  return {
    id: said === null ? 'choose.failmode' : 'choose.allow',
    status: 200,
    title: 'choose.title',
    icon: 'door',
    body: (
      <>
        <Heading shell={shell} word="choose.allow.h1" />
        <p>{words.text(said === null ? 'choose.failmode.body' : 'choose.allow.body')}</p>
        {said !== null && <Said shell={shell} said={said} />}
        <Form shell={shell} action="/prove">
          <Button kind="primary">{words.text('common.continue')}</Button>
        </Form>
        <Actions>
          <SignOutButton shell={shell} />
        </Actions>
      </>
    ),
  }
}
