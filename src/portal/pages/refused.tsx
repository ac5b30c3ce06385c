import type { ComponentProps } from 'preact'
import { problems, type Reason } from '../../problems/problems.ts'
import type { WordKey } from '../words/words.ts'
import {
  Actions,
  Button,
  Form,
  Heading,
  LinkButton,
  Name,
  Reference,
  retryAfter,
  Sign,
  siteName,
  Time,
} from './parts.tsx'
import type { Shell, View } from './view.ts'

/** Whom the gate refused, and what. */
export interface Denied {
  readonly username: string | null
  readonly groups: readonly string[]
  readonly host: string | null
  readonly method: string
  /** Without its query. */
  readonly url: string | null
  readonly reference: string
}

const URL_SHOWN_AT_MOST = 120

function helpLink(shell: Shell, denied: Denied): string {
  const { email, url } = shell.config.portal.help
  if (email === undefined) return url ?? shell.url('/help')
  const subject = shell.words.text('denied.mail-subject', { site: denied.host ?? shell.config.portal.name })
  const lines = [
    denied.reference,
    denied.username ?? '',
    `${denied.method} ${denied.url ?? ''}`,
    new Date(shell.now).toISOString(),
  ]
  return `mailto:${email}?subject=${encodeURIComponent(subject)}&body=${encodeURIComponent(lines.join('\r\n'))}`
}

/** `denied`. The rule is never named: the reference leads to it in the log. */
export function deniedPage(shell: Shell, denied: Denied): View {
  const { words } = shell
  const { username, groups, host, url } = denied
  const site = host === null ? <span>{words.text('denied.this-page')}</span> : siteName(host)
  const asked = url === null ? null : url.length > URL_SHOWN_AT_MOST ? `${url.slice(0, URL_SHOWN_AT_MOST)}…` : url
  return {
    id: username === null ? 'denied.anonymous' : 'denied',
    status: 403,
    title: 'denied.title',
    icon: 'attention',
    body: (
      <>
        <Sign kind="danger" />
        <Heading shell={shell} word={username === null ? 'denied.h1-anonymous' : 'denied.h1'} focus />
        {username !== null && <p>{words.rich('denied.body', { username: <Name>{username}</Name>, site })}</p>}
        <dl class="facts">
          {asked !== null && (
            <div>
              <dt>{words.text('denied.asked')}</dt>
              <dd class="url" dir="ltr">
                {denied.method} {asked}
              </dd>
            </div>
          )}
          {username !== null && (
            <div>
              <dt>{words.text('denied.signed-in-as')}</dt>
              <dd>
                <bdi>{username}</bdi>
              </dd>
            </div>
          )}
          {username !== null && (
            <div>
              <dt>{words.text('denied.groups')}</dt>
              <dd>{groups.length === 0 ? words.text('denied.no-groups') : words.list(groups)}</dd>
            </div>
          )}
        </dl>
        <p>{words.text('denied.send')}</p>
        <Reference
          shell={shell}
          facts={{ reference: denied.reference, reason: 'access-denied', person: username, site: host }}
        />
        <Actions>
          <LinkButton kind="primary" href={shell.plainUrl('/')}>
            {words.text(username === null ? 'signin.primary' : 'common.your-sites')}
          </LinkButton>
          {username !== null &&
            (shell.foreign || shell.token === null ? (
              <LinkButton kind="second" href={shell.url('/logout')}>
                {words.text('common.switch')}
              </LinkButton>
            ) : (
              <Form shell={shell} action="/logout" extra={{ switch: '1' }}>
                <Button kind="second">{words.text('common.switch')}</Button>
              </Form>
            ))}
          <LinkButton kind="second" href={helpLink(shell, denied)}>
            {words.text('denied.ask')}
          </LinkButton>
        </Actions>
      </>
    ),
  }
}

/** `gate.bad`. Header values are never echoed: they stand in the log under the reference. */
export function badAddressPage(shell: Shell, reason: Reason, reference: string): View {
  const { words } = shell
  return {
    id: 'gate.bad',
    status: 400,
    title: 'gate.bad.title',
    icon: 'attention',
    body: (
      <>
        <Sign kind="danger" />
        <Heading shell={shell} word="gate.bad.h1" focus />
        <p>{words.text('gate.bad.body', { name: shell.config.portal.name })}</p>
        <Reference shell={shell} facts={{ reference, reason, todo: problems[reason].mend }} />
      </>
    ),
  }
}

/** `limited` */
export function limitedPage(shell: Shell, until: number): View {
  const { words } = shell
  return {
    id: 'limited',
    status: 429,
    title: 'limited.title',
    icon: 'attention',
    headers: retryAfter(shell, until),
    body: (
      <>
        <Sign kind="warn" />
        <Heading shell={shell} word="limited.h1" focus />
        <p>
          {words.rich('limited.body', {
            time: <Time shell={shell} at={until} as="time" />,
            left: <Time shell={shell} at={until} as="left" />,
          })}
        </p>
        <Actions>
          <LinkButton kind="second" href={shell.url('/')}>
            {words.text('common.try-again')}
          </LinkButton>
        </Actions>
      </>
    ),
  }
}

type Plain = 'notfound' | 'form.refused' | 'bad'
const plain: Record<Plain, { status: number; title: WordKey; h1: WordKey; body: WordKey }> = {
  notfound: { status: 404, title: 'notfound.title', h1: 'notfound.h1', body: 'notfound.body' },
  'form.refused': { status: 403, title: 'form.title', h1: 'form.h1', body: 'form.body' },
  bad: { status: 400, title: 'bad.title', h1: 'bad.h1', body: 'bad.body' },
}

/** `notfound`; a form that came from elsewhere; parameters that no page of ours sends. @param status in place of the usual one */
export function plainPage(shell: Shell, id: Plain, status: number = plain[id].status): View {
  const { words } = shell
  const { title, h1, body } = plain[id]
  return {
    id,
    status,
    title,
    icon: 'attention',
    body: (
      <>
        <Sign kind="warn" />
        <Heading shell={shell} word={h1} focus />
        <p>{words.text(body)}</p>
        <Actions>
          <LinkButton kind="primary" href={shell.plainUrl('/')}>
            {words.text(shell.username === null ? 'signin.primary' : 'common.your-sites')}
          </LinkButton>
        </Actions>
      </>
    ),
  }
}

/** `error`: a bug. */
export function errorPage(shell: Shell, reference: string): View {
  return brokenPage(shell, 'error', { reference })
}

/** `down`: something that Postern needs does not answer. */
export function downPage(shell: Shell, { ref, reason }: { ref: string; reason?: Reason | undefined }): View {
  const facts = reason === undefined ? {} : { reason, todo: `${problems[reason].title}. ${problems[reason].mend}` }
  return { ...brokenPage(shell, 'down', { reference: ref, ...facts }), status: 503, headers: { 'retry-after': '10' } }
}

const broken: Record<'error' | 'down', { title: WordKey; h1: WordKey; body: WordKey }> = {
  error: { title: 'error.title', h1: 'error.h1', body: 'error.body' },
  down: { title: 'down.title', h1: 'down.h1', body: 'down.body' },
}

function brokenPage(shell: Shell, id: 'error' | 'down', facts: ComponentProps<typeof Reference>['facts']): View {
  const { words } = shell
  const { title, h1, body } = broken[id]
  return {
    id,
    status: 500,
    title,
    icon: 'attention',
    body: (
      <>
        <Sign kind="danger" />
        <Heading shell={shell} word={h1} focus />
        <p>{words.text(body)}</p>
        <Reference shell={shell} facts={facts} />
        <Actions>
          <LinkButton kind="primary" href={shell.url('/')}>
            {words.text('common.try-again')}
          </LinkButton>
          <LinkButton kind="second" href={shell.plainUrl('/')}>
            {words.text('common.start-over')}
          </LinkButton>
        </Actions>
      </>
    ),
  }
}

/** For when rendering itself fails: no words table, no component, no stylesheet. */
export function fallbackPage(reference: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Something broke</title></head><body><main><h1>Something broke on our side</h1><p>It isn't your fault, and it was recorded. Try again in a minute.</p><p>Reference: ${reference}</p><p><a href="/">Start over</a></p></main></body></html>`
}
