import type { VNode } from 'preact'
import type { Banned } from '../../users/users.ts'
import type { Message } from '../message.ts'
import type { WordKey } from '../words/words.ts'
import {
  Actions,
  Button,
  Form,
  Heading,
  isWebUrl,
  LinkButton,
  Notice,
  Reference,
  retryAfter,
  Sign,
  SignOutButton,
  Time,
  wantedSite,
} from './parts.tsx'
import type { Shell, View } from './view.ts'

type Of<Kind extends Message['kind']> = Extract<Message, { kind: Kind }>

/** What the sign-in page has to say above its form. */
export type SigninNews =
  | Of<'wrong'>
  | Of<'empty'>
  | { readonly kind: 'cookies' }
  | { readonly kind: 'ended'; readonly how: 'inactive' | 'expired' | 'revoked' }

interface Fault {
  readonly field: 'username' | 'password'
  readonly words: string
}

function faultsOf(shell: Shell, news: SigninNews | undefined): readonly Fault[] {
  const { words } = shell
  if (news?.kind === 'wrong') return [{ field: 'password', words: words.text('signin.wrong.body') }]
  if (news?.kind !== 'empty') return []
  const faults: Fault[] = []
  if (news.missing !== 'password') faults.push({ field: 'username', words: words.text('signin.empty.username') })
  if (news.missing !== 'username') faults.push({ field: 'password', words: words.text('signin.empty.password') })
  return faults
}

function Summary({ shell, faults, news }: { shell: Shell; faults: readonly Fault[]; news: SigninNews }): VNode {
  const { words } = shell
  const left = news.kind === 'wrong' ? news.triesLeft : null
  return (
    <Notice kind="danger" heading={words.text('common.problem')}>
      <ul class="faults">
        {faults.map(fault => (
          <li key={fault.field}>
            <a href={`#${fault.field}`}>{fault.words}</a>
          </li>
        ))}
      </ul>
      {left !== null && left > 0 && left <= 2 && (
        <p>
          {words.text('signin.wrong.left', {
            n: left,
            duration: words.duration(shell.config.regulation.ban_time),
          })}
        </p>
      )}
    </Notice>
  )
}

function newsWords(shell: Shell, news: SigninNews | undefined): string | null {
  const { words, domain } = shell
  if (news?.kind !== 'ended') return null
  const how = {
    inactive: () => words.text('signin.expired.inactive', { duration: words.duration(domain.inactivity) }),
    expired: () => words.text('signin.expired.expired', { duration: words.duration(domain.expiration) }),
    revoked: () => words.text('signin.expired.revoked'),
  }
  return how[news.how]()
}

function Field({
  shell,
  name,
  word,
  fault,
  value,
  focus,
  children,
  describedBy,
}: {
  shell: Shell
  name: 'username' | 'password'
  word: WordKey
  fault: Fault | undefined
  value: string
  focus: boolean
  describedBy: string | undefined
  children?: VNode
}): VNode {
  const described = [fault && `${name}-error`, focus && describedBy].filter(Boolean).join(' ')
  const attributes = {
    id: name,
    name,
    value,
    required: true,
    autocapitalize: 'none',
    spellcheck: false,
    ...(fault ? { 'aria-invalid': true } : {}),
    ...(described === '' ? {} : { 'aria-describedby': described }),
    ...(focus ? { autofocus: true } : {}),
  } as const
  return (
    <div class={fault ? 'field wrong' : 'field'}>
      <label for={name}>{shell.words.text(word)}</label>
      {fault && (
        <p class="field-error" id={`${name}-error`}>
          {fault.words}
        </p>
      )}
      <div class="input">
        {name === 'password' ? (
          <input type="password" autocomplete="current-password" {...attributes} />
        ) : (
          <input type="text" autocomplete="username" {...attributes} />
        )}
        {children}
      </div>
    </div>
  )
}

/**
 * `signin` with all that may stand above its form.
 * @param username as it was typed before, or of who is signed in
 * @param again the wanted site asks somebody who is signed in for the password again, when the last proof is older than `maxAge`
 */
export function signinPage(
  shell: Shell,
  news: SigninNews | undefined,
  username: string,
  again: { readonly maxAge: number | null; readonly remembered: boolean } | null = null,
): View {
  const { words, config, domain, site } = shell
  const faults = faultsOf(shell, news)
  const faultOf = (field: Fault['field']) => faults.find(fault => fault.field === field)
  const told = newsWords(shell, news)
  const noticed = faults.length > 0 || told !== null || news?.kind === 'cookies'
  const first = username === '' ? 'username' : 'password'
  const reset = config.authentication_backend.password_reset.custom_url
  return {
    id:
      news === undefined
        ? again === null
          ? 'signin'
          : 'signin.again'
        : news.kind === 'ended'
          ? 'signin.expired'
          : `signin.${news.kind}`,
    status: 200,
    title: 'signin.title',
    error: faults.length > 0,
    icon: 'door',
    ownStatus: true,
    body: (
      <>
        {news !== undefined && faults.length > 0 && <Summary shell={shell} faults={faults} news={news} />}
        {told !== null && (
          <Notice kind="info">
            <p>{told}</p>
          </Notice>
        )}
        {news?.kind === 'cookies' && (
          <Notice kind="warn">
            <p>
              {words.rich('signin.cookies.body', {
                host: <b dir="ltr">{new URL(domain.authelia_url).hostname}</b>,
              })}
            </p>
          </Notice>
        )}
        <Heading shell={shell} word={again === null ? 'signin.h1' : 'signin.again.h1'} />
        {site !== null && (
          <p class="lede" id="lede">
            {again === null || again.maxAge === null
              ? words.rich('signin.lede', { site: wantedSite(shell) })
              : words.rich('signin.again.body', {
                  site: wantedSite(shell),
                  duration: words.duration(again.maxAge),
                })}
          </p>
        )}
        <Form shell={shell} action="/login">
          <Field
            shell={shell}
            name="username"
            word="signin.username"
            fault={faultOf('username')}
            value={username}
            focus={!noticed && first === 'username'}
            describedBy={site === null ? undefined : 'lede'}
          />
          <Field
            shell={shell}
            name="password"
            word="signin.password"
            fault={faultOf('password')}
            value=""
            focus={!noticed && first === 'password'}
            describedBy={site === null ? undefined : 'lede'}
          >
            <button
              type="button"
              class="small reveal"
              data-reveal="password"
              data-hide={words.text('signin.hide')}
              aria-pressed="false"
              aria-controls="password"
              hidden
            >
              {words.text('signin.show')}
            </button>
          </Field>
          <p class="status caps" role="status" data-caps={words.text('signin.caps')} />
          {domain.remember_me !== null && (
            <div class="check">
              <input
                type="checkbox"
                id="keep"
                name="keepMeLoggedIn"
                value="true"
                aria-describedby="keep-hint"
                defaultChecked={again?.remembered === true}
              />
              <label for="keep">
                {words.text('signin.keep', { duration: words.duration(domain.remember_me) })}
                <span class="hint" id="keep-hint">
                  {words.text('signin.keep-hint')}
                </span>
              </label>
            </div>
          )}
          <Button kind="primary" busy={words.text('signin.busy')}>
            {words.text('signin.primary')}
          </Button>
        </Form>
        <ul class="ways">
          {again !== null && (
            <li>
              <a href={shell.plainUrl('/')}>{words.text('signin.again.others')}</a>
            </li>
          )}
          {reset !== undefined && (
            <li>
              <a href={reset}>{words.text('signin.forgot')}</a>
            </li>
          )}
          <li>
            <a href={shell.url('/help')}>{words.text('signin.help')}</a>
          </li>
        </ul>
      </>
    ),
  }
}

const banned = {
  'signin.banned': {
    title: 'signin.banned.title',
    name: { ends: 'signin.banned.body', endless: 'signin.banned.endless' },
    address: { ends: 'signin.banned.address', endless: 'signin.banned.address-endless' },
  },
  'prove.banned': {
    title: 'prove.banned.title',
    name: { ends: 'prove.banned.body', endless: 'prove.banned.endless' },
    address: { ends: 'prove.banned.address', endless: 'prove.banned.address-endless' },
  },
} as const

function whyBanned({ whose, by }: Banned): WordKey {
  if (by === 'administrator') return 'banned.why-administrator'
  return whose === 'address' ? 'banned.why-address' : 'banned.why'
}

/** `signin.banned`: the name is paused, whether or not anybody has it, or the address. `prove.banned`: nothing can be proved, by whom is signed in. */
export function bannedPage(shell: Shell, id: keyof typeof banned, ban: Banned): View {
  const { words } = shell
  const { until, whose, by } = ban
  const { title, [whose]: body } = banned[id]
  return {
    id: until === null ? `${id}.endless` : id,
    status: until === null ? 403 : 429, // without an end there is nothing to wait for
    title,
    icon: 'attention',
    ...(until === null ? {} : { headers: retryAfter(shell, until) }),
    body: (
      <>
        <Sign kind="warn" />
        <Heading shell={shell} word={by === 'administrator' ? 'banned.h1-administrator' : 'banned.h1'} focus />
        <p>
          {until === null
            ? words.text(body.endless)
            : words.rich(body.ends, {
                time: <Time shell={shell} at={until} as="time" />,
                left: <Time shell={shell} at={until} as="left" />,
              })}
        </p>
        <p>{words.text(whyBanned(ban))}</p>
        <Actions>
          {id === 'signin.banned' ? (
            <LinkButton kind="second" href={shell.url('/')}>
              {words.text('common.try-again')}
            </LinkButton>
          ) : (
            <>
              <LinkButton kind="second" href={shell.plainUrl('/')}>
                {words.text('common.your-sites')}
              </LinkButton>
              <SignOutButton shell={shell} />
            </>
          )}
        </Actions>
      </>
    ),
  }
}

/** `end.fraud`: whoever sits here may be the attacker, so it says little. */
export function fraudPage(shell: Shell, username: string, reference: string): View {
  const { words } = shell
  return {
    id: 'end.fraud',
    status: 200,
    title: 'end.fraud.title',
    icon: 'attention',
    body: (
      <>
        <Sign kind="danger" />
        <Heading shell={shell} word="end.fraud.h1" focus />
        <p>{words.text('end.fraud.body')}</p>
        <Reference shell={shell} facts={{ reference, reason: 'push-reported', person: username, terse: true }} />
      </>
    ),
  }
}

/** `help`: the operator's words and contacts. */
export function helpPage(shell: Shell): View {
  const { words, config } = shell
  const { text, url, email, phone } = config.portal.help
  const none = text === undefined && url === undefined && email === undefined && phone === undefined
  return {
    id: 'help',
    status: 200,
    title: 'help.title',
    icon: 'door',
    body: (
      <>
        <Heading shell={shell} word="help.h1" />
        <p>{none ? words.text('help.nobody', { name: config.portal.name }) : (text ?? words.text('help.body'))}</p>
        {(url !== undefined || email !== undefined || phone !== undefined) && (
          <dl class="facts">
            {email !== undefined && (
              <div>
                <dt>{words.text('help.email')}</dt>
                <dd>
                  <a href={`mailto:${email}`}>{email}</a>
                </dd>
              </div>
            )}
            {phone !== undefined && (
              <div>
                <dt>{words.text('help.phone')}</dt>
                <dd>
                  <a href={`tel:${phone.replaceAll(/[^\d+]/g, '')}`} dir="ltr">
                    {phone}
                  </a>
                </dd>
              </div>
            )}
            {url !== undefined && isWebUrl(url) && (
              <div>
                <dt>{words.text('help.page')}</dt>
                <dd>
                  <a href={url}>{url.replace(/^https?:\/\//, '')}</a>
                </dd>
              </div>
            )}
          </dl>
        )}
        <Actions>
          <LinkButton kind="second" href={shell.url('/')}>
            {words.text(shell.username === null ? 'help.back' : 'common.your-sites')}
          </LinkButton>
        </Actions>
      </>
    ),
  }
}
