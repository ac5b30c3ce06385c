import type { Push } from '../push.ts'
import type { AccountUser, SimulatedDevice } from '../users.ts'
import { Icon, nameOf, Page, traitsOf } from './page.tsx'

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
              {user.devices.map(device => (
                <li key={device.id}>
                  <Tile device={device} waiting={waitingOn(device)} />
                </li>
              ))}
            </ul>
          </section>
        ))}
      </main>
    </Page>
  )
}

function Tile({ device, waiting }: { device: SimulatedDevice; waiting: number }) {
  return (
    <a class="tile" href={`/phones/${device.id}`}>
      <Icon name={device.type === 'token' ? 'key' : device.number === '' ? 'tablet' : 'phone'} />
      <span class="tile-words">
        <strong>{nameOf(device)}</strong>
        <span class="quiet">{traitsOf(device).join(' · ')}</span>
      </span>
      {waiting > 0 ? (
        <span class="badge live">{waiting === 1 ? '1 request' : `${waiting} requests`}</span>
      ) : (
        <Icon name="next" />
      )}
    </a>
  )
}
