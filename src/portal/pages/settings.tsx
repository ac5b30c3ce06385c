import type { ComponentChildren, VNode } from 'preact'
import type { Offer, RememberedBrowser } from '../../duo/duo.ts'
import type { LoginRecord } from '../../login/logins.ts'
import type { Overview } from '../../login/settings.ts'
import type { SeenSession } from '../../session/session.ts'
import { Icon } from '../look/icons.tsx'
import { does, icons, WayChoice } from './choose.tsx'
import { Actions, Button, Form, Heading, isWebUrl, LinkButton, Name, Notice, Time } from './parts.tsx'
import type { Shell, View } from './view.ts'

/** What was done just before. */
export type SettingsNews =
  | { readonly did: 'ended' | 'browser'; readonly browser: string }
  | { readonly did: 'others'; readonly count: number }
  | { readonly did: 'browsers' | 'forgot-way' | 'kept-way' | 'gone' | 'no-way' | 'no-ways' }

const nothingDone = ['gone', 'no-way', 'no-ways']
/** Longer ago than this, a session is not in use now. */
const IN_USE_FOR = 120_000

function News({ shell: { words }, news }: { shell: Shell; news: SettingsNews }): VNode {
  const said = () => {
    switch (news.did) {
      case 'ended':
        return words.rich('settings.did.ended', { browser: <Name>{news.browser}</Name> })
      case 'browser':
        return words.rich('settings.did.browser', { browser: <Name>{news.browser}</Name> })
      case 'others':
        return words.text('settings.did.others', { n: news.count })
      case 'browsers':
        return words.text('settings.did.browsers')
      case 'forgot-way':
        return words.text('settings.did.forgot-way')
      case 'kept-way':
        return words.text('settings.did.kept-way')
      case 'gone':
        return words.text('settings.did.gone')
      case 'no-way':
        return words.text('settings.did.no-way')
      case 'no-ways':
        return words.text('settings.did.no-ways')
    }
  }
  return (
    <Notice kind={nothingDone.includes(news.did) ? 'info' : 'ok'}>
      <p>{said()}</p>
    </Notice>
  )
}

/** `a · b · c`, each part whole where the line allows it. */
function Facts({ parts }: { parts: readonly ComponentChildren[] }): VNode {
  return (
    <span class="quiet bits">
      {parts.map((part, i) => (
        <span key={i}>{part}</span>
      ))}
    </span>
  )
}

/** A small button at the end of a row; `which` tells a reader of the screen whose it is. */
function RowButton({ shell, action, extra, which, children }: RowButtonProps): VNode {
  return (
    <Form shell={shell} action={action} extra={extra ?? {}}>
      <button type="submit" class="small">
        {children}
        <span class="unseen"> {which}</span>
      </button>
    </Form>
  )
}
interface RowButtonProps {
  shell: Shell
  action: string
  extra?: Readonly<Record<string, string>>
  which: ComponentChildren
  children: string
}

const Here = ({ shell }: { shell: Shell }): VNode => <span class="here">{shell.words.text('settings.here')}</span>

function SessionRow({ shell, seen, here }: { shell: Shell; seen: SeenSession; here: boolean }): VNode {
  const { words, now, config } = shell
  const { session, seenAt } = seen
  const { how } = session.secondFactor ?? {}
  const level = how === undefined ? 'password' : how === 'duo-allow' || how === 'failmode' ? 'let' : 'both'
  const since = <Time shell={shell} at={session.passwordAt} as="when" />
  const ip = session.ip ?? words.text('settings.nowhere')
  const used =
    here || now - seenAt < IN_USE_FOR
      ? words.text('settings.sessions.now')
      : words.rich('settings.sessions.used', { time: <Time shell={shell} at={seenAt} as="when" /> })
  return (
    <li>
      <span class="tile-words">
        <b>
          <bdi>{session.browser}</bdi>
          {here && <Here shell={shell} />}
        </b>
        <Facts
          parts={[
            <bdi key="ip">{ip}</bdi>,
            words.rich('settings.sessions.since', { time: since }),
            used,
            words.text('settings.sessions.level', { level }),
            ...(session.remember ? [words.text('settings.sessions.kept')] : []),
            ...(config.session.cookies.length > 1
              ? [words.rich('settings.sessions.domain', { domain: <bdi>{session.cookieDomain}</bdi> })]
              : []),
          ]}
        />
      </span>
      {here ? (
        <RowButton shell={shell} action="/logout" which={words.text('settings.here')}>
          {words.text('settings.sessions.end')}
        </RowButton>
      ) : (
        <RowButton
          shell={shell}
          action="/settings/end"
          extra={{ session: session.key }}
          which={words.rich('settings.sessions.end-of', { browser: session.browser, ip, time: since })}
        >
          {words.text('settings.sessions.end')}
        </RowButton>
      )}
    </li>
  )
}

function ConfirmedBy({ shell, way }: { shell: Shell; way: Overview['way'] }): VNode {
  const { words } = shell
  return (
    <section aria-labelledby="way">
      <h2 id="way">{words.text('settings.way')}</h2>
      {way === null || way === 'none' ? (
        <p class="hint">{words.text(way === null ? 'settings.down' : 'settings.way.none')}</p>
      ) : (
        <ul class="entries">
          <li>
            <Icon name={icons[way.way.kind]} />
            <span class="tile-words">
              <b>{words.text(does[way.way.kind])}</b>
              {way.name !== '' && (
                <span class="quiet">
                  <bdi>{way.name}</bdi>
                </span>
              )}
            </span>
          </li>
        </ul>
      )}
      {way !== null && (
        <div class="row">
          <a class="small" href={shell.url('/settings/way')}>
            {words.text('settings.way.change')}
            <span class="unseen"> {words.text('settings.way')}</span>
          </a>
          {way !== 'none' && (
            <Form shell={shell} action="/settings/way" extra={{ forget: 'true' }}>
              <button type="submit" class="small">
                {words.text('settings.way.forget')}
              </button>
            </Form>
          )}
        </div>
      )}
      <p class="hint">{words.text('settings.way.phones')}</p>
    </section>
  )
}

function Remembered({ shell, browsers }: { shell: Shell; browsers: readonly RememberedBrowser[] | null }): VNode {
  const { words } = shell
  const when = (at: number) => <Time shell={shell} at={at} as="when" />
  return (
    <section aria-labelledby="browsers">
      <h2 id="browsers">{words.text('settings.browsers')}</h2>
      <p class="hint">
        {words.text(
          browsers === null
            ? 'settings.down'
            : browsers.length === 0
              ? 'settings.browsers.none'
              : 'settings.browsers.body',
        )}
      </p>
      {browsers !== null && browsers.length > 0 && (
        <ul class="entries">
          {browsers.map(({ id, browser, since, here }) => (
            <li key={id}>
              <span class="tile-words">
                <b>
                  <bdi>{browser}</bdi>
                  {here && <Here shell={shell} />}
                </b>
                <span class="quiet">{words.rich('settings.browsers.since', { time: when(since) })}</span>
              </span>
              <RowButton
                shell={shell}
                action="/settings/browsers"
                extra={{ browser: id }}
                which={words.rich('settings.browsers.forget-which', { browser, time: when(since) })}
              >
                {words.text('settings.browsers.forget')}
              </RowButton>
            </li>
          ))}
        </ul>
      )}
      {browsers !== null && browsers.length > 1 && (
        <div class="row">
          <Form shell={shell} action="/settings/browsers" extra={{ browser: 'all' }}>
            <button type="submit" class="small">
              {words.text('settings.browsers.all')}
            </button>
          </Form>
        </div>
      )}
    </section>
  )
}

/** What a login was, as the words' `select` names it. */
function whatOf({ outcome, factor }: LoginRecord): string {
  if (outcome === 'banned') return 'banned'
  if (outcome === 'timed-out') return factor === 'phone' ? 'unansweredCall' : 'unansweredPush'
  if (outcome === 'denied') return factor === 'phone' ? 'deniedCall' : 'deniedPush'
  if (outcome === 'fraud') return 'fraud'
  if (outcome === 'refused') return factor === 'password' ? 'wrong' : 'wrongPasscode'
  return factor === 'duo-allow' ? 'allow' : factor
}

function Activity({ shell, logins }: { shell: Shell; logins: Overview['logins'] }): VNode {
  const { words, config } = shell
  const reset = config.authentication_backend.password_reset.custom_url
  return (
    <section aria-labelledby="activity">
      <h2 id="activity">{words.text('settings.activity')}</h2>
      {logins === null || logins.length === 0 ? (
        <p class="hint">{words.text(logins === null ? 'settings.down' : 'settings.activity.none')}</p>
      ) : (
        <ol class="entries">
          {logins.map(login => (
            <li key={`${login.at} ${login.factor} ${login.outcome} ${login.ip}`}>
              <Icon name={login.outcome === 'accepted' ? 'tick' : 'bar'} />
              <span class="tile-words">
                <b>{words.text('settings.activity.what', { what: whatOf(login) })}</b>
                <Facts
                  parts={[
                    <Time key="at" shell={shell} at={login.at} as="when" />,
                    <bdi key="ip">{login.ip ?? words.text('settings.nowhere')}</bdi>,
                    <bdi key="browser">{login.browser}</bdi>,
                  ]}
                />
              </span>
            </li>
          ))}
        </ol>
      )}
      {logins !== null && logins.length > 0 && (
        <p class="hint">
          {words.rich('settings.activity.stranger', {}, children => (
            <a href={shell.url('/settings/everywhere')}>{children}</a>
          ))}
          {reset !== undefined && isWebUrl(reset) && (
            <>
              {' '}
              <a href={reset}>{words.text('settings.activity.password')}</a>
            </>
          )}
        </p>
      )}
    </section>
  )
}

/** `settings`. @param here the key of this browser's session */
export function settingsPage(shell: Shell, overview: Overview, here: string, news: SettingsNews | undefined): View {
  const { words, config } = shell
  const { sessions, way, remembered, logins } = overview
  const hasDuo = config.duo_api !== undefined && !config.duo_api.disable
  return {
    id: news === undefined ? 'settings' : `settings.${news.did}`,
    status: 200,
    title: 'settings.title',
    icon: 'door',
    wide: true,
    body: (
      <>
        {news && <News shell={shell} news={news} />}
        <Heading shell={shell} word="settings.h1" />
        <section aria-labelledby="sessions">
          <h2 id="sessions">{words.text('settings.sessions')}</h2>
          <ul class="entries">
            {sessions.map(seen => (
              <SessionRow key={seen.session.key} shell={shell} seen={seen} here={seen.session.key === here} />
            ))}
          </ul>
          {sessions.length > 1 && (
            <div class="row">
              <a class="small" href={shell.url('/settings/everywhere')}>
                {words.text('settings.sessions.everywhere')}
              </a>
            </div>
          )}
        </section>
        {hasDuo && <ConfirmedBy shell={shell} way={way} />}
        {(config.duo_api?.remembered_devices || (remembered !== null && remembered.length > 0)) && (
          <Remembered shell={shell} browsers={remembered} />
        )}
        <Activity shell={shell} logins={logins} />
        <Actions>
          <LinkButton kind="second" href={shell.plainUrl('/')}>
            {words.text('common.your-sites')}
          </LinkButton>
        </Actions>
      </>
    ),
  }
}

/** `settings.everywhere`: asks before much is ended. @param others how many sessions beside this one */
export function everywherePage(shell: Shell, others: number): View {
  const { words } = shell
  return {
    id: 'settings.everywhere',
    status: 200,
    title: 'settings.everywhere.title',
    icon: 'door',
    body: (
      <>
        <Heading shell={shell} word="settings.everywhere.h1" />
        <p>{words.text('settings.everywhere.body', { n: others })}</p>
        <Form shell={shell} action="/settings/everywhere">
          {others > 0 && (
            <Button kind="primary" name="which" value="others" busy={words.text('signout.ask.busy')}>
              {words.text('settings.everywhere.others')}
            </Button>
          )}
          <Button kind="danger" name="which" value="all" busy={words.text('signout.ask.busy')}>
            {words.text('settings.everywhere.all')}
          </Button>
        </Form>
        <Actions>
          <LinkButton kind="second" href={shell.url('/settings')}>
            {words.text('settings.everywhere.keep')}
          </LinkButton>
        </Actions>
      </>
    ),
  }
}

/** `settings.way`: which way comes first. Nothing is sent. */
export function wayPage(shell: Shell, choice: Extract<Offer, { kind: 'choose' }>): View {
  const { words } = shell
  return {
    id: 'settings.way',
    status: 200,
    title: 'settings.way.choose-title',
    icon: 'door',
    body: (
      <>
        <Heading shell={shell} word="settings.way.choose-h1" />
        <p class="lede" id="lede">
          {words.text('settings.way.choose-lede')}
        </p>
        <Form shell={shell} action="/settings/way">
          <WayChoice shell={shell} choice={choice} legend="settings.way" />
          <Button kind="primary">{words.text('settings.way.save')}</Button>
        </Form>
        <Actions>
          <LinkButton kind="second" href={shell.url('/settings')}>
            {words.text('settings.everywhere.keep')}
          </LinkButton>
        </Actions>
      </>
    ),
  }
}
