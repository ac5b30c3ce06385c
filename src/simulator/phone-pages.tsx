import type { ComponentChildren, VNode } from 'preact'
import type { Milliseconds } from '../clock.ts'
import type { Push, PushState } from './push.ts'
import { type AccountUser, maskedNumber, type SimulatedDevice } from './users.ts'

const EARLIER_AT_MOST = 5
const EARLIER_BESIDE_A_REQUEST = 2

/** All phones of all users. */
export function PhonesPage({
  users,
  pushes,
  version,
}: {
  users: readonly AccountUser[]
  pushes: readonly Push[]
  version: number
}) {
  const waitingOn = (device: SimulatedDevice) =>
    pushes.filter(push => push.state === 'pending' && push.device.id === device.id).length
  return (
    <Page title="Phones" news="/">
      <main class="list" data-version={version} data-path="/">
        <h1>Whose phone?</h1>
        <p class="quiet">Open a phone and keep it beside the page that asks for it.</p>
        {users.map(user => (
          <section key={user.id} class="owner">
            <h2>
              <span class="initial" aria-hidden="true">
                {[...user.username][0]?.toUpperCase()}
              </span>
              {user.username}
              {user.status !== 'active' && <span class="badge">{user.status}</span>}
            </h2>
            {user.devices.length === 0 && <p class="quiet">No phone yet.</p>}
            <ul>
              {user.devices.map(device => {
                const waiting = waitingOn(device)
                return (
                  <li key={device.id}>
                    <a class="tile" href={`/phones/${device.id}`}>
                      <Icon name={device.type === 'token' ? 'key' : device.number === '' ? 'tablet' : 'phone'} />
                      <span class="tile-words">
                        <strong>{nameOf(device)}</strong>
                        <span class="quiet">
                          {[device.platform, maskedNumber(device.number)].filter(Boolean).join(' · ')}
                        </span>
                      </span>
                      {waiting > 0 ? (
                        <span class="badge live">{waiting === 1 ? '1 request' : `${waiting} requests`}</span>
                      ) : (
                        <Icon name="next" />
                      )}
                    </a>
                  </li>
                )
              })}
            </ul>
          </section>
        ))}
      </main>
    </Page>
  )
}

/** One phone. @param now by the simulator's clock */
export function PhonePage({
  user,
  device,
  pushes,
  application,
  now,
  version,
  notice,
}: {
  user: AccountUser
  device: SimulatedDevice
  pushes: readonly Push[]
  application: string
  now: Milliseconds
  version: number
  notice: string | undefined
}) {
  const newestFirst = pushes.toReversed()
  const pending = newestFirst.filter(push => push.state === 'pending')
  const earlier = newestFirst
    .filter(push => push.state !== 'pending')
    .slice(0, pending.length > 0 ? EARLIER_BESIDE_A_REQUEST : EARLIER_AT_MOST)
  const title = `${pending.length > 0 ? `(${pending.length}) ` : ''}${user.username}: ${nameOf(device)}`
  return (
    <Page title={title} news={`/phones/${device.id}`}>
      <div class="stage" data-version={version} data-path={`/phones/${device.id}`}>
        <div class="beside">
          <a class="back" href="/">
            <Icon name="back" /> All phones
          </a>
          <h1>{user.username}</h1>
          <p class="quiet">
            {[nameOf(device), device.platform, maskedNumber(device.number)].filter(Boolean).join(' · ')}
          </p>
        </div>
        <div class="phone">
          <main class="screen">
            <div class="bar" aria-hidden="true">
              <span>{clockTime(now)}</span>
              <span class="island" />
              <span class="signals">
                <Icon name="signal" />
                <Icon name="battery" />
              </span>
            </div>
            {notice && (
              <p class="notice" role="alert">
                {notice}
              </p>
            )}
            <div class="now" aria-live="polite">
              {pending.length === 0 ? (
                <div class="calm">
                  <Icon name="shield" />
                  <h2>Nothing to approve</h2>
                  <p class="quiet">A request appears here by itself.</p>
                </div>
              ) : (
                pending.map(push => <Request key={push.id} push={push} application={application} now={now} />)
              )}
            </div>
            {earlier.length > 0 && (
              <section class="earlier" aria-label="Earlier requests">
                <h2>Earlier</h2>
                <ul>
                  {earlier.map(push => (
                    <li key={push.id} class={`ended-${push.state}`}>
                      <Icon name={endings[push.state].icon} />
                      <span>{endings[push.state].words}</span>
                      <time class="quiet">{clockTime(push.answeredAt ?? push.deadline)}</time>
                    </li>
                  ))}
                </ul>
              </section>
            )}
          </main>
        </div>
      </div>
    </Page>
  )
}

const endings = {
  pending: { words: 'Waiting', icon: 'clock' },
  approved: { words: 'Approved', icon: 'check' },
  denied: { words: 'Denied', icon: 'cross' },
  fraud: { words: 'Reported: not you', icon: 'flag' },
  'timed-out': { words: 'Not answered in time', icon: 'clock' },
} as const satisfies Record<PushState, { words: string; icon: IconName }>

function Request({ push, application, now }: { push: Push; application: string; now: Milliseconds }) {
  const left = Math.max(0, Math.ceil((push.deadline - now) / 1000))
  const life = Math.ceil((push.deadline - push.sentAt) / 1000)
  const action = `/phones/${push.device.id}/pushes/${push.id}`
  const addressIsShown = push.pushinfo.some(([, value]) => value === push.ipaddr)
  return (
    <article class="request" aria-labelledby={`${push.id}-title`}>
      <p class="kind">
        <Icon name={push.factor === 'phone' ? 'call' : 'shield'} />
        {push.factor === 'phone' ? 'Phone call' : `${push.type} request`}
      </p>
      <h2 id={`${push.id}-title`}>
        Are you logging in to <b>{application}</b>?
      </h2>
      <dl>
        <Detail name="Account" value={push.displayUsername} />
        {push.pushinfo.map(([name, value], index) => (
          <Detail key={index} name={name} value={value} />
        ))}
        {push.ipaddr !== undefined && !addressIsShown && <Detail name="Address" value={push.ipaddr} />}
      </dl>
      <div class="left">
        <progress data-seconds value={left} max={life} aria-hidden="true" />
        <span class="quiet" data-left>
          {left} s left
        </span>
      </div>
      <form method="post" action={action}>
        <button type="submit" id={`${push.id}-approve`} class="approve" name="answer" value="approve">
          <Icon name="check" />
          Approve
        </button>
        <button type="submit" id={`${push.id}-deny`} class="deny" name="answer" value="deny">
          <Icon name="cross" />
          Deny
        </button>
        <button type="submit" id={`${push.id}-fraud`} class="fraud" name="answer" value="fraud">
          It wasn't me
        </button>
      </form>
    </article>
  )
}

function Detail({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{shortened(name, 60)}</dt>
      <dd>{shortened(value, 300)}</dd>
    </div>
  )
}

export function ProblemPage({ words }: { words: string }) {
  return (
    <Page title="Problem">
      <main class="list">
        <h1>That did not work</h1>
        <p class="notice">{words}</p>
        <p>
          <a href="/">All phones</a>
        </p>
      </main>
    </Page>
  )
}

/**
 * @param news where a page that changes asks for its next version. Without a script it is loaded anew: a navigation that is held until there
 * are news would make Chromium's automation wait for it before each click.
 */
function Page({ title, news, children }: { title: string; news?: string; children: ComponentChildren }): VNode {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${title} · Duo simulator`}</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="/phone.css" />
        {news && (
          <noscript>
            <meta http-equiv="refresh" content={`2; url=${news}`} />
          </noscript>
        )}
        {news && <script src="/phone.js" defer />}
      </head>
      <body>
        <header class="label">
          <strong>Simulator.</strong> This is not Duo: whoever opens this page can approve.
        </header>
        {children}
      </body>
    </html>
  )
}

const nameOf = (device: SimulatedDevice) => device.name || device.platform || device.id

/** Hours, minutes in the zone of this machine. */
function clockTime(time: Milliseconds): string {
  return new Date(time).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })
}

function shortened(text: string, length: number): string {
  const characters = [...text]
  return characters.length > length ? `${characters.slice(0, length - 1).join('')}…` : text
}

const icons = {
  phone: 'M8 2h8a2 2 0 0 1 2 2v16a2 2 0 0 1-2 2H8a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2Zm3 17h2',
  tablet: 'M5 3h14a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2Zm6 15h2',
  key: 'M15 9a4 4 0 1 0-3.9 4L13 15h2v2h2v2h3v-3l-5.2-5.2A4 4 0 0 0 15 9ZM9.5 8.5h.01',
  next: 'm9 5 7 7-7 7',
  back: 'm15 5-7 7 7 7',
  shield: 'M12 3 5 6v5c0 4.5 2.9 8.3 7 10 4.1-1.7 7-5.5 7-10V6l-7-3Zm-3 9 2.2 2.2L15.5 10',
  call: 'M6 3h3l2 5-2.5 1.5a11 11 0 0 0 6 6L16 13l5 2v3a3 3 0 0 1-3 3A15 15 0 0 1 3 6a3 3 0 0 1 3-3Z',
  check: 'm5 12.5 4.5 4.5L19 7.5',
  cross: 'M6.5 6.5l11 11m0-11-11 11',
  flag: 'M6 21V4h11l-2 4 2 4H6',
  clock: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm0 4.5V12l3 2',
  signal: 'M5 18v-3m5 3v-6m5 6V9m5 9V6',
  battery: 'M3 8h15v8H3Zm18 3v2M6 11v2m3-2v2m3-2v2',
} as const
type IconName = keyof typeof icons

function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={icons[name]} />
    </svg>
  )
}
