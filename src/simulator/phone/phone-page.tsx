import type { ComponentChildren } from 'preact'
import type { Milliseconds } from '../../clock.ts'
import type { TextMessage } from '../passcodes.ts'
import type { Push, PushState } from '../push.ts'
import type { AccountUser, SimulatedDevice } from '../users.ts'
import { CallCard, PushCard } from './cards.tsx'
import { clockTime, Icon, type IconName, nameOf, Page, traitsOf } from './page.tsx'

const EARLIER_AT_MOST = 5
const EARLIER_BESIDE_A_REQUEST = 2
const MESSAGES_AT_MOST = 3

export interface PhoneView {
  readonly user: AccountUser
  readonly device: SimulatedDevice
  readonly pushes: readonly Push[]
  /** What the display shows; null when it shows none yet, undefined for a device without one. */
  readonly passcode: string | null | undefined
  readonly messages: readonly TextMessage[]
  /** The passcodes of the newest message that are still good. */
  readonly unused: readonly string[]
  readonly application: string
  /** By the simulator's clock. */
  readonly now: Milliseconds
  readonly version: number
  readonly notice: string | undefined
}

/** One phone, or one hardware token. */
export function PhonePage(view: PhoneView) {
  const { user, device, pushes, version } = view
  const pending = pushes.filter(push => push.state === 'pending')
  const path = `/phones/${device.id}`
  const typing = pending.some(push => push.verificationCode !== undefined)
  return (
    <Page
      title={`${pending.length > 0 ? `(${pending.length}) ` : ''}${user.username}: ${nameOf(device)}`}
      news={path}
      typing={typing}
    >
      <main class="stage" data-version={version} data-path={path}>
        <div class="beside">
          <a class="back" href="/">
            <Icon name="back" /> All phones
          </a>
          <h1>{user.username}</h1>
          <p class="quiet">{[nameOf(device), ...traitsOf(device)].join(' · ')}</p>
        </div>
        {device.type === 'token' ? (
          <Token {...view} />
        ) : (
          <div class="phone">
            <div class="screen">
              <StatusBar now={view.now} />
              <Screen {...view} pending={pending.toReversed()} />
            </div>
          </div>
        )}
      </main>
    </Page>
  )
}

function Screen(view: PhoneView & { pending: readonly Push[] }) {
  const { device, pushes, pending, passcode, messages, application, now, notice } = view
  const earlier = pushes
    .filter(push => push.state !== 'pending')
    .toReversed()
    .slice(0, pending.length > 0 ? EARLIER_BESIDE_A_REQUEST : EARLIER_AT_MOST)
  return (
    <>
      <Notice words={notice} />
      <div class="now" aria-live="polite">
        {pending.length === 0 ? (
          <div class="calm">
            <Icon name="shield" />
            <h2>Nothing to approve</h2>
            <p class="quiet">A request appears here by itself.</p>
          </div>
        ) : (
          pending.map(push => {
            const Card = push.factor === 'phone' ? CallCard : PushCard
            return <Card key={push.id} push={push} application={application} now={now} />
          })
        )}
      </div>
      {passcode !== undefined && <PasscodeCard device={device} application={application} passcode={passcode} />}
      {messages.length > 0 && <Messages messages={messages} unused={view.unused} />}
      {earlier.length > 0 && <Earlier pushes={earlier} />}
    </>
  )
}

function StatusBar({ now }: { now: Milliseconds }) {
  return (
    <div class="bar" aria-hidden="true">
      <span>{clockTime(now)}</span>
      <span class="island" />
      <span class="signals">
        <Icon name="signal" />
        <Icon name="battery" />
      </span>
    </div>
  )
}

function Notice({ words }: { words: string | undefined }) {
  return (
    words && (
      <p class="notice" role="alert">
        {words}
      </p>
    )
  )
}

/** Duo Mobile's passcode of the account. A new one is made by a press, never by looking. */
function PasscodeCard({
  device,
  application,
  passcode,
}: {
  device: SimulatedDevice
  application: string
  passcode: string | null
}) {
  return (
    <Section name="Passcode" class="passcode">
      <div>
        <span class="quiet">{application}</span>
        <Digits passcode={passcode} />
      </div>
      <PressForm device={device} class="refresh">
        <Icon name="refresh" />
        {passcode === null ? 'Show' : 'Refresh'}
      </PressForm>
    </Section>
  )
}

/** Spoken as digits, shown in two groups. */
function Digits({ passcode }: { passcode: string | null }) {
  if (passcode === null)
    return (
      <output class="digits hidden" aria-label="No passcode shown yet">
        ••• •••
      </output>
    )
  return (
    <output class="digits" data-passcode={passcode}>
      {passcode.slice(0, 3)}
      <span class="gap" />
      {passcode.slice(3)}
    </output>
  )
}

function PressForm({
  device,
  class: look,
  children,
}: {
  device: SimulatedDevice
  class: string
  children: ComponentChildren
}) {
  return (
    <form method="post" action={`/phones/${device.id}/passcode`}>
      <button type="submit" class={look} id={`${device.id}-press`}>
        {children}
      </button>
    </form>
  )
}

function Token({ device, passcode = null, notice }: PhoneView) {
  return (
    <div class="desk">
      <Notice words={notice} />
      <div class="token">
        <span class="ring" aria-hidden="true" />
        <span class="token-name">{nameOf(device)}</span>
        <Digits passcode={passcode} />
        <PressForm device={device} class="token-button">
          Press
        </PressForm>
      </div>
      <p class="quiet">Each press shows another passcode. It lets in once.</p>
    </div>
  )
}

function Messages({ messages, unused }: { messages: readonly TextMessage[]; unused: readonly string[] }) {
  const newest = messages.at(-1)
  return (
    <Section name="Messages" class="messages">
      <ul>
        {messages
          .slice(-MESSAGES_AT_MOST)
          .toReversed()
          .map((message, index) => (
            <li key={index} class={message === newest ? 'message' : 'message old'}>
              <p class="message-head">
                <Icon name="message" />
                <strong>Duo</strong>
                <time class="quiet">{clockTime(message.sentAt)}</time>
              </p>
              <p>{message === newest ? 'SMS passcodes:' : 'SMS passcodes (no longer good):'}</p>
              <p class="codes">
                {message.passcodes.map(passcode =>
                  message === newest && unused.includes(passcode) ? (
                    <span key={passcode}>{passcode} </span>
                  ) : (
                    <s key={passcode}>{passcode} </s>
                  ),
                )}
              </p>
            </li>
          ))}
      </ul>
    </Section>
  )
}

function Section({ name, class: look, children }: { name: string; class: string; children: ComponentChildren }) {
  return (
    <section class="part" aria-label={name}>
      <h2>{name}</h2>
      <div class={look}>{children}</div>
    </section>
  )
}

const endings = {
  pending: { words: 'Waiting', icon: 'clock' },
  approved: { words: 'Approved', icon: 'check' },
  denied: { words: 'Denied', icon: 'cross' },
  fraud: { words: 'Reported: not you', icon: 'flag' },
  'timed-out': { words: 'Not answered in time', icon: 'clock' },
} as const satisfies Record<PushState, { words: string; icon: IconName }>

function Earlier({ pushes }: { pushes: readonly Push[] }) {
  return (
    <Section name="Earlier" class="earlier">
      <ul>
        {pushes.map(push => (
          <li key={push.id} class={`ended-${push.state}`}>
            <Icon name={endings[push.state].icon} />
            <span>
              {push.factor === 'phone' ? `Call: ${endings[push.state].words.toLowerCase()}` : endings[push.state].words}
            </span>
            <time class="quiet">{clockTime(push.answeredAt ?? push.deadline)}</time>
          </li>
        ))}
      </ul>
    </Section>
  )
}
