import type { SimulatedDevice } from '../users.ts'
import { Icon, Page } from './page.tsx'

/** Where an enrolment link leads: one press, and the person has a phone. @param device the phone, when it is activated */
export function EnrolPage({
  code,
  username,
  device,
}: {
  code: string
  username: string
  device: SimulatedDevice | undefined
}) {
  if (device)
    return (
      <Page title="Phone activated">
        <main class="list enrol">
          <div class="done">
            <Icon name="check" />
          </div>
          <h1>This phone is {username}’s now</h1>
          <p class="quiet">Go back to the page that asked for it: it goes on by itself.</p>
          <a class="approve wide" href={`/phones/${device.id}`}>
            <Icon name="phone" />
            Open the phone
          </a>
        </main>
      </Page>
    )
  return (
    <Page title="Activate a phone">
      <main class="list enrol">
        <div class="done">
          <Icon name="phone" />
        </div>
        <h1>A phone for {username}</h1>
        <p class="quiet">
          Duo would now ask you to install its app. The simulator’s phone is a web page and is there at once.
        </p>
        <form method="post" action={`/activate/${code}`}>
          <label for="number">
            Phone number <span class="quiet">(optional: without one it takes no calls and no texts)</span>
          </label>
          <input
            id="number"
            name="number"
            type="tel"
            inputmode="tel"
            maxlength={30}
            pattern="\+?[0-9 \(\)\-]*"
            placeholder="+1 555 010 0199"
            autocomplete="off"
          />
          <button type="submit" class="approve wide">
            <Icon name="check" />
            Activate this phone
          </button>
        </form>
      </main>
    </Page>
  )
}
