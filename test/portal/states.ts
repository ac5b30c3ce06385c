import type { Message } from '../../src/portal/message.ts'
import type { Scene } from './fake-login.ts'
import { chooseStates } from './states/choose.ts'
import { homeStates } from './states/home.ts'
import { passcodeStates } from './states/passcode.ts'
import { proveStates } from './states/prove.ts'
import { refusedStates } from './states/refused.ts'
import { settingsStates } from './states/settings.ts'
import { signinStates } from './states/signin.ts'
import { troubleStates } from './states/trouble.ts'

/** One state of the portal: a new one is tested, photographed and read by axe when it has a row here. */
export interface State {
  /** The page's id, and the name of its pictures. */
  readonly id: string
  /** How it is opened. */
  readonly url: string
  readonly status: number
  /** What the browser's tab says, before the name. */
  readonly title: string
  /** Where a reader starts: a selector, or null for the top. */
  readonly focus: string | null
  readonly scene?: (now: number) => Partial<Scene>
  /** What the POST before it left to say. */
  readonly message?: (now: number) => Message
  /** A body of the gate's, shown on an application's host. */
  readonly foreign?: 'denied' | 'bad'
  readonly portal?: object
  /** Keys of `duo_api`. */
  readonly duo?: object
  /** Where the browser was sent a moment ago. */
  readonly went?: string
}

export const states: readonly State[] = [
  ...signinStates,
  ...homeStates,
  ...chooseStates,
  ...passcodeStates,
  ...proveStates,
  ...troubleStates,
  ...refusedStates,
  ...settingsStates,
]
