import type { ComponentChildren, VNode } from 'preact'
import { Icon } from '../look/icons.tsx'
import type { WordKey } from '../words/words.ts'
import type { Shell } from './view.ts'

/** In the middle, so that both the name's start and its registrable end can be read. */
export function cutMiddle(text: string, atMost = 40): string {
  return text.length <= atMost ? text : `${text.slice(0, atMost / 2 - 1)}…${text.slice(-(atMost / 2))}`
}

/** A host, a device or a person's name: its own direction, and bold. */
export function Name({ children }: { children: string }): VNode {
  return (
    <b>
      <bdi>{children}</bdi>
    </b>
  )
}

export const siteName = (host: string): VNode => <Name>{cutMiddle(host)}</Name>

/** The wanted site, or the portal's own host where none is wanted. */
export const wantedSite = (shell: Shell): VNode => siteName(shell.site ?? new URL(shell.domain.authelia_url).hostname)

/** A time in the server's zone, which the script turns into the browser's. */
export function Time({ shell, at, as }: { shell: Shell; at: number; as: 'time' | 'when' | 'both' | 'left' }): VNode {
  const text =
    as === 'time'
      ? shell.words.time(at)
      : as === 'when'
        ? shell.words.when(at, shell.now)
        : as === 'both'
          ? shell.words.dateTime(at)
          : shell.words.duration(roundUp(at - shell.now))
  return (
    <time datetime={new Date(at).toISOString()} data-as={as}>
      {text}
    </time>
  )
}

/** To whole minutes from two minutes on, to whole seconds below. */
const roundUp = (span: number) => {
  const step = span > 120_000 ? 60_000 : 1000
  return Math.max(1000, Math.ceil(span / step) * step)
}

/** The header that says to programs what the page says to people. */
export const retryAfter = ({ now }: Shell, until: number) => ({
  'retry-after': String(Math.max(1, Math.ceil((until - now) / 1000))),
})

/** @param focus the reader starts here: only where the page's news is the heading itself */
export function Heading({
  shell,
  word,
  values,
  focus,
}: {
  shell: Shell
  word: WordKey
  values?: Record<string, string | number | VNode>
  focus?: boolean
}): VNode {
  return focus ? (
    <h1 tabIndex={-1} autofocus>
      {shell.words.rich(word, values)}
    </h1>
  ) : (
    <h1>{shell.words.rich(word, values)}</h1>
  )
}

export function Notice({
  kind,
  heading,
  focus = true,
  children,
}: {
  kind: 'info' | 'warn' | 'danger' | 'ok'
  heading?: ComponentChildren
  focus?: boolean
  children?: ComponentChildren
}): VNode {
  return (
    <div class={`notice ${kind}`} {...(focus ? { tabIndex: -1, autofocus: true } : {})}>
      {heading !== undefined && <p class="notice-heading">{heading}</p>}
      {children}
    </div>
  )
}

/** A POST to the portal, with its token. */
export function Form({
  shell,
  action,
  children,
  className,
  extra,
}: {
  shell: Shell
  action: string
  children: ComponentChildren
  className?: string
  extra?: Readonly<Record<string, string>>
}): VNode {
  return (
    <form method="post" action={shell.url(action)} novalidate class={className}>
      <input type="hidden" name="token" value={shell.token?.() ?? ''} />
      {Object.entries(extra ?? {}).map(([name, value]) => (
        <input key={name} type="hidden" name={name} value={value} />
      ))}
      {children}
    </form>
  )
}

/** @param busy what the button says once it was pressed */
export function Button({
  kind,
  busy,
  name,
  value,
  children,
}: {
  kind: 'primary' | 'second' | 'danger'
  busy?: string
  name?: string
  value?: string
  children: ComponentChildren
}): VNode {
  return (
    <button type="submit" class={`button ${kind}`} data-busy={busy} name={name} value={value}>
      <span>{children}</span>
    </button>
  )
}

export function LinkButton({
  kind,
  href,
  children,
  newTab,
}: {
  kind: 'primary' | 'second'
  href: string
  children: ComponentChildren
  newTab?: boolean
}): VNode {
  return (
    <a class={`button ${kind}`} href={href} {...(newTab ? { target: '_blank', rel: 'noopener' } : {})}>
      <span>{children}</span>
    </a>
  )
}

/** Below the primary button, second in rank. */
export function Actions({ children }: { children: ComponentChildren }): VNode {
  return <div class="actions">{children}</div>
}

export function SignOutButton({ shell }: { shell: Shell }): VNode {
  return (
    <Form shell={shell} action="/logout">
      <Button kind="second">{shell.words.text('common.sign-out')}</Button>
    </Form>
  )
}

export interface Facts {
  readonly reference: string
  readonly reason?: string
  /** Null: not told. */
  readonly person?: string | null
  readonly site?: string | null
  readonly todo?: string
  /** Without time and site: the reader may not be the person. */
  readonly terse?: boolean
}

/** The lines that a person sends to the administrator. The log holds the same reference. */
export function Reference({ shell, facts }: { shell: Shell; facts: Facts }): VNode {
  const { words } = shell
  const row = (label: WordKey, value: ComponentChildren) => (
    <div>
      <dt>{words.text(label)}</dt>
      <dd>{value}</dd>
    </div>
  )
  return (
    <section class="reference" aria-label={words.text('common.reference-block')}>
      <dl data-lines>
        {row(
          'common.reference',
          <span class="code notranslate" dir="ltr">
            {facts.reference}
          </span>,
        )}
        {facts.reason &&
          row(
            'common.reason',
            <span class="code notranslate" dir="ltr">
              {facts.reason}
            </span>,
          )}
        {facts.person && row('common.person', <bdi>{facts.person}</bdi>)}
        {facts.site && row('common.site', <bdi>{cutMiddle(facts.site)}</bdi>)}
        {!facts.terse &&
          row('common.time', [
            <Time key="local" shell={shell} at={shell.now} as="both" />,
            <span key="utc" class="utc" dir="ltr">
              {new Date(shell.now)
                .toISOString()
                .replace('T', ' ')
                .replace(/\.\d+Z/, ' UTC')}
            </span>,
          ])}
        {facts.todo && row('common.todo', facts.todo)}
      </dl>
      {!shell.foreign && (
        <div class="tools" data-script-only hidden>
          <button type="button" class="small" data-copy data-done={words.text('common.copied')}>
            {words.text('common.copy')}
          </button>
          <button type="button" class="small" data-print>
            {words.text('common.print')}
          </button>
        </div>
      )}
    </section>
  )
}

/** What helps a person whose push did not come. */
export function NotArrived({ shell, open }: { shell: Shell; open?: boolean }): VNode {
  const { words } = shell
  return (
    <details open={open}>
      <summary>{words.text('wait.push.missing')}</summary>
      <ul>
        <li>{words.text('wait.push.missing-app')}</li>
        <li>{words.text('wait.push.missing-online')}</li>
        <li>{words.text('wait.push.missing-reported')}</li>
        <li>{words.text('wait.push.missing-new')}</li>
      </ul>
    </details>
  )
}

/** What Duo says, in its own English. */
export function Said({ shell, said }: { shell: Shell; said: string }): VNode {
  return (
    <p class="said" data-said hidden={said === ''}>
      {shell.words.rich('common.duo-says', {
        said: (
          <q lang="en" data-said-text>
            {said}
          </q>
        ),
      })}
    </p>
  )
}

/** A big sign above the heading of a page that ends something. */
export function Sign({ kind }: { kind: 'ok' | 'danger' | 'warn' }): VNode {
  return (
    <span class={`sign ${kind}`}>
      <Icon name={kind === 'ok' ? 'tick' : 'bar'} />
    </span>
  )
}

export const isWebUrl = (url: string): boolean => /^https?:\/\//i.test(url)
