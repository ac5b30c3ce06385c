import type { VNode } from 'preact'
import type { DuoTrouble, Offer } from '../../duo/duo.ts'
import { problems, type Reason } from '../../problems/problems.ts'
import type { WordKey } from '../words/words.ts'
import {
  Actions,
  Button,
  Form,
  Heading,
  LinkButton,
  Name,
  Notice,
  Reference,
  Said,
  Sign,
  SignOutButton,
  Time,
  wantedSite,
} from './parts.tsx'
import type { Shell, View } from './view.ts'

type NoDevice = Extract<Offer, { kind: 'no-device' }>
/** Why there is nothing to prove it with. */
export type NothingToProveWith =
  | Pick<NoDevice, 'reason' | 'device' | 'passcode'>
  | { reason: 'no-second-factor'; device: null; passcode: false }

/** The lines for the administrator. @param todo in place of what problems/ says */
function Lines({
  shell,
  reference,
  reason,
  todo = problems[reason].mend,
}: {
  shell: Shell
  reference: string
  reason: Reason
  todo?: string | undefined
}): VNode {
  return <Reference shell={shell} facts={{ reference, reason, person: shell.username, site: shell.site, todo }} />
}

function TryAgain({ shell }: { shell: Shell }): VNode {
  return (
    <LinkButton kind="primary" href={shell.url('/prove')}>
      {shell.words.text('common.try-again')}
    </LinkButton>
  )
}

/** `nodevice`, for all causes. */
export function noDevicePage(shell: Shell, why: NothingToProveWith, reference: string): View {
  const { words } = shell
  const username = shell.username ?? ''
  // The second: what to do, where the names make it plainer than what problems/ says.
  const cause: Record<NothingToProveWith['reason'], [WordKey, string?]> = {
    'duo-no-user': ['nodevice.duo-no-user', words.text('nodevice.todo.duo-no-user', { name: username })],
    'duo-no-device': ['nodevice.duo-no-device', words.text('nodevice.todo.duo-no-device')],
    'duo-not-activated':
      why.device === null
        ? ['nodevice.duo-not-activated']
        : ['nodevice.duo-not-activated', words.text('nodevice.todo.duo-not-activated', { device: why.device })],
    'duo-factors': ['nodevice.duo-factors'],
    'duo-name-empty': ['nodevice.duo-name-empty'],
    'duo-name-shared': ['nodevice.duo-name-shared'],
    'no-second-factor': [
      'nodevice.no-second-factor',
      words.text('nodevice.todo.no-second-factor', { site: shell.site ?? words.text('nodevice.the-site') }),
    ],
  }
  const [word, todo] = cause[why.reason]
  return {
    id: `nodevice.${why.reason}`,
    status: 200,
    title: 'nodevice.title',
    icon: 'attention',
    body: (
      <>
        <Notice kind="warn" heading={words.text('nodevice.notice')} />
        <Heading shell={shell} word="nodevice.h1" />
        <p>{words.rich(word, { name: <Name>{username}</Name>, site: wantedSite(shell) })}</p>
        <Lines shell={shell} reference={reference} reason={why.reason} todo={todo} />
        <Actions>
          <TryAgain shell={shell} />
          {why.passcode && (
            <LinkButton kind="second" href={shell.url('/prove/passcode')}>
              {words.text('choose.passcode')}
            </LinkButton>
          )}
          <SignOutButton shell={shell} />
        </Actions>
      </>
    ),
  }
}

/** `enrol.self`. @param unseen the person pressed *I'm done* and Duo sees no device */
export function enrolPage(shell: Shell, unseen: boolean): View {
  const { words } = shell
  return {
    id: unseen ? 'enrol.unseen' : 'enrol.self',
    status: 200,
    title: 'enrol.title',
    icon: 'door',
    body: (
      <>
        {unseen && (
          <Notice kind="info">
            <p>{words.rich('enrol.unseen')}</p>
          </Notice>
        )}
        <Heading shell={shell} word="enrol.h1" />
        <p>{words.rich('enrol.body', { site: wantedSite(shell) })}</p>
        <ol class="steps">
          <li>{words.rich('enrol.step1')}</li>
          <li>{words.text('enrol.step2')}</li>
          <li>{words.rich('enrol.step3')}</li>
        </ol>
        <Actions>
          <LinkButton kind="primary" href={shell.url('/enroll/start')} newTab>
            {words.text('enrol.primary')}
          </LinkButton>
          <Form shell={shell} action="/enroll">
            <Button kind="second" busy={words.text('enrol.busy')}>
              {words.text('enrol.done')}
            </Button>
          </Form>
        </Actions>
      </>
    ),
  }
}

/** `enrol.ask`: self-enrolment is off. */
export function enrolAskPage(shell: Shell, reference: string): View {
  const { words } = shell
  return {
    id: 'enrol.ask',
    status: 200,
    title: 'nodevice.title',
    icon: 'attention',
    body: (
      <>
        <Notice kind="warn" heading={words.text('nodevice.notice')} />
        <Heading shell={shell} word="enrol.ask.h1" />
        <p>{words.rich('enrol.ask.body', { site: wantedSite(shell) })}</p>
        <Lines shell={shell} reference={reference} reason="duo-enroll" />
        <Actions>
          <TryAgain shell={shell} />
          <SignOutButton shell={shell} />
        </Actions>
      </>
    ),
  }
}

/** `end.locked` */
export function lockedPage(shell: Shell, reference: string): View {
  const { words } = shell
  return {
    id: 'end.locked',
    status: 200,
    title: 'end.locked.title',
    icon: 'attention',
    body: (
      <>
        <Sign kind="danger" />
        <Heading shell={shell} word="end.locked.h1" focus />
        <p>{words.text('end.locked.body')}</p>
        <Lines
          shell={shell}
          reference={reference}
          reason="duo-locked"
          todo={words.text('end.locked.todo', { name: shell.username ?? '' })}
        />
        <Actions>
          <SignOutButton shell={shell} />
        </Actions>
      </>
    ),
  }
}

/** `duo.deny` */
export function duoDenyPage(shell: Shell, said: string, reference: string): View {
  return {
    id: 'duo.deny',
    status: 200,
    title: 'duo.deny.title',
    icon: 'attention',
    body: (
      <>
        <Sign kind="danger" />
        <Heading shell={shell} word="duo.deny.h1" focus />
        <Said shell={shell} said={said} />
        <Lines shell={shell} reference={reference} reason="duo-disabled" />
        <Actions>
          <TryAgain shell={shell} />
          <SignOutButton shell={shell} />
        </Actions>
      </>
    ),
  }
}

/** `duo.not-asked`: the wanted site takes only a factor that Duo asked for, and Duo lets the person pass. */
export function notAskedPage(shell: Shell, said: string, reference: string): View {
  const { words } = shell
  return {
    id: 'duo.not-asked',
    status: 200,
    title: 'duo.not-asked.title',
    icon: 'attention',
    body: (
      <>
        <Sign kind="warn" />
        <Heading shell={shell} word="duo.not-asked.h1" focus />
        <p>{words.rich('duo.not-asked.body', { site: wantedSite(shell) })}</p>
        <Said shell={shell} said={said} />
        <Lines shell={shell} reference={reference} reason="duo-not-asked" />
        <Actions>
          <TryAgain shell={shell} />
          <LinkButton kind="second" href={shell.plainUrl('/')}>
            {words.text('duo.down.others')}
          </LinkButton>
          <SignOutButton shell={shell} />
        </Actions>
      </>
    ),
  }
}

const RETRY_SECONDS = 30

/** `duo.down`: Duo can't help now. @param paused the person asked the page not to check by itself */
export function duoDownPage(shell: Shell, reason: Reason, reference: string, paused: boolean): View {
  const { words } = shell
  return {
    id: 'duo.down',
    status: 503,
    title: 'duo.down.title',
    icon: 'attention',
    again: paused ? null : { url: shell.url('/prove'), seconds: RETRY_SECONDS },
    headers: { 'retry-after': String(RETRY_SECONDS) },
    body: (
      <div data-again={paused ? undefined : RETRY_SECONDS} data-words={words.text('duo.down.asking')}>
        <Sign kind="warn" />
        <Heading shell={shell} word="duo.down.h1" focus />
        <p>{words.rich('duo.down.body', { site: wantedSite(shell) })}</p>
        <p class="hint">
          {words.rich(paused ? 'duo.down.checked-once' : 'duo.down.checked', {
            time: <Time shell={shell} at={shell.now} as="time" />,
          })}
        </p>
        <Lines shell={shell} reference={reference} reason={reason} />
        <Actions>
          <LinkButton kind="primary" href={shell.url('/prove')}>
            {words.text('duo.down.primary')}
          </LinkButton>
          <LinkButton kind="second" href={shell.plainUrl('/')}>
            {words.text('duo.down.others')}
          </LinkButton>
        </Actions>
        {!paused && (
          <noscript>
            <p class="self">
              <a href={shell.url('/prove', { paused: '' })}>{words.text('wait.push.stop')}</a>
            </p>
          </noscript>
        )}
      </div>
    ),
  }
}

/** `duo.setup` and `duo.clock`: Duo refuses this server. What is wrong exactly stands in the log only. */
export function duoSetupPage(shell: Shell, trouble: DuoTrouble, reference: string): View {
  const { words } = shell
  const offset = trouble.reason === 'duo-clock' ? trouble.clockOffsetSeconds : undefined
  const clock = trouble.reason === 'duo-clock'
  return {
    id: clock ? 'duo.clock' : 'duo.setup',
    status: 503,
    title: clock ? 'duo.clock.title' : 'duo.setup.title',
    icon: 'attention',
    body: (
      <>
        <Sign kind="danger" />
        <Heading shell={shell} word={clock ? 'duo.clock.h1' : 'duo.setup.h1'} focus />
        <p>
          {!clock
            ? words.text('duo.setup.body')
            : offset === undefined
              ? words.text('duo.clock.body-unknown')
              : words.text('duo.clock.body', {
                  minutes: Math.max(1, Math.round(Math.abs(offset) / 60)),
                  side: offset > 0 ? 'ahead' : 'behind',
                })}
        </p>
        <Lines
          shell={shell}
          reference={reference}
          reason={trouble.reason}
          todo={words.text(clock ? 'duo.clock.todo' : 'duo.setup.todo')}
        />
        <Actions>
          <TryAgain shell={shell} />
          <SignOutButton shell={shell} />
        </Actions>
      </>
    ),
  }
}
