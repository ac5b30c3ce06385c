import type { Refusal } from '../../duo/duo.ts'
import type { Site } from '../../login/login.ts'
import type { FailedTries } from '../../login/logins.ts'
import { problems } from '../../problems/problems.ts'
import type { SecondFactor } from '../../session/session.ts'
import { Icon } from '../look/icons.tsx'
import {
  Actions,
  Button,
  cutMiddle,
  Form,
  Heading,
  isWebUrl,
  LinkButton,
  Name,
  Notice,
  Reference,
  Sign,
  SignOutButton,
  siteName,
  Time,
} from './parts.tsx'
import type { Shell, View } from './view.ts'

/** `home`. @param confirmed what raised the session to level 2 and how long that holds; null at level 1 */
export function homePage(
  shell: Shell,
  displayName: string,
  confirmed: { by: SecondFactor; until: number } | null,
  sites: readonly Site[],
  { canConfirm, refusal, failed }: { canConfirm: boolean; refusal: Refusal | null; failed: FailedTries | null },
): View {
  const { words } = shell
  return {
    id: 'home',
    status: 200,
    title: 'home.title',
    icon: 'approved',
    wide: sites.length > 1,
    body: (
      <>
        {refusal !== null && <RefusalNotice shell={shell} refusal={refusal} />}
        {refusal === null && failed !== null && <FailedNotice shell={shell} failed={failed} />}
        {confirmed?.by.how === 'duo-allow' && (
          <Notice kind="info" focus={false}>
            <p>{words.rich('home.allowed', { said: <q lang="en">{confirmed.by.said}</q> })}</p>
          </Notice>
        )}
        {confirmed?.by.how === 'failmode' && (
          <Notice kind="warn" focus={false}>
            <p>{words.text('home.failmode')}</p>
          </Notice>
        )}
        <Heading shell={shell} word="home.h1" />
        <p class="lede">
          {confirmed
            ? words.rich(confirmed.by.how === 'failmode' ? 'home.unconfirmed' : 'home.confirmed', {
                name: <Name>{displayName}</Name>,
                time: <Time shell={shell} at={confirmed.until} as="time" />,
              })
            : words.rich('home.password', { name: <Name>{displayName}</Name> })}
        </p>
        <h2>{words.text('home.sites')}</h2>
        {sites.length === 0 ? (
          <p class="quiet">{words.text('home.none')}</p>
        ) : (
          <ul class="tiles sites">
            {sites
              .filter(site => isWebUrl(site.url))
              .map(site => (
                <li key={site.url}>
                  <a class="tile" href={site.url}>
                    <span class="tile-words">
                      <b>
                        <bdi>{site.name}</bdi>
                      </b>
                      {site.name !== site.host && (
                        <span class="quiet">
                          <bdi>{cutMiddle(site.host)}</bdi>
                        </span>
                      )}
                      {site.needs !== 'nothing' && (
                        <span class="tag">
                          <Icon name={site.needs === 'password' ? 'key' : 'phone'} />
                          {words.text(site.needs === 'password' ? 'home.asks-password' : 'home.asks')}
                        </span>
                      )}
                    </span>
                    <Icon name="chevron" />
                  </a>
                </li>
              ))}
          </ul>
        )}
        <Actions>
          {canConfirm && (
            <LinkButton kind="second" href={shell.plainUrl('/prove')}>
              {words.text('home.prove')}
            </LinkButton>
          )}
          <LinkButton kind="second" href={shell.plainUrl('/settings')}>
            {words.text('common.settings')}
          </LinkButton>
          <SignOutButton shell={shell} />
        </Actions>
      </>
    ),
  }
}

/** Stays until it is pressed away: whoever reads it may have to act. */
function RefusalNotice({ shell, refusal: { how, at, facts } }: { shell: Shell; refusal: Refusal }) {
  const { words } = shell
  return (
    <Notice kind="danger" heading={words.text('home.refusal.heading')}>
      <p>
        {words.rich('home.refusal.body', {
          time: <Time shell={shell} at={at} as="both" />,
          ip: <bdi>{facts.ip ?? words.text('home.refusal.nowhere')}</bdi>,
          browser: facts.browser,
          how,
        })}
      </p>
      <Form shell={shell} action="/notice/seen">
        <Button kind="second">{words.text('home.refusal.seen')}</Button>
      </Form>
    </Notice>
  )
}

/** Stays until it is pressed away, or until the sign-in after this one. */
function FailedNotice({ shell, failed: { count, since } }: { shell: Shell; failed: FailedTries }) {
  const { words } = shell
  return (
    <Notice kind="warn" heading={words.text('home.failed.heading')}>
      <p>
        {since === null
          ? words.text('home.failed.body-lately', { n: count })
          : words.rich('home.failed.body', { n: count, time: <Time shell={shell} at={since} as="when" /> })}{' '}
        <a href={shell.plainUrl('/settings')}>{words.text('home.failed.look')}</a>
      </p>
      <Form shell={shell} action="/notice/seen" extra={{ which: 'failed' }}>
        <Button kind="second">{words.text('home.refusal.seen')}</Button>
      </Form>
    </Notice>
  )
}

/** `go`. @param unsent a method whose request was lost when the person had to sign in: nothing is followed by itself then */
export function goPage(shell: Shell, target: { url: string; host: string }, unsent: boolean): View {
  const { words } = shell
  const site = siteName(target.host)
  return {
    id: unsent ? 'go.unsent' : 'go',
    status: 200,
    title: 'go.title',
    icon: 'approved',
    ownStatus: true,
    // The refresh, not a 303: a form's POST must not lead to another origin under form-action 'self'.
    ...(unsent ? {} : { headers: { refresh: `0; url=${target.url}` } }),
    body: (
      <>
        <Sign kind="ok" />
        <Heading shell={shell} word="go.h1" />
        <p class="status" role="status">
          {unsent ? '' : words.rich('go.body', { site })}
        </p>
        {unsent && <p>{words.rich('go.unsent', { site: siteName(target.host) })}</p>}
        <Actions>
          <LinkButton kind={unsent ? 'primary' : 'second'} href={target.url}>
            {words.text('common.continue')}
          </LinkButton>
        </Actions>
      </>
    ),
  }
}

/** `go.back`: the gate there sees the person otherwise than the portal does. Only a person's click goes on. */
export function sentBackPage(shell: Shell, target: { url: string; host: string }, reference: string): View {
  const { words } = shell
  return {
    id: 'go.back',
    status: 200,
    title: 'go.back.title',
    icon: 'attention',
    body: (
      <>
        <Sign kind="warn" />
        <Heading shell={shell} word="go.back.h1" focus />
        <p>{words.rich('go.back.body', { site: siteName(target.host) })}</p>
        <Reference
          shell={shell}
          facts={{
            reference,
            reason: 'gate-loop',
            person: shell.username,
            site: target.host,
            todo: problems['gate-loop'].mend,
          }}
        />
        <Actions>
          <LinkButton kind="primary" href={target.url}>
            {words.text('go.back.primary')}
          </LinkButton>
          <LinkButton kind="second" href={shell.plainUrl('/')}>
            {words.text('common.your-sites')}
          </LinkButton>
          <SignOutButton shell={shell} />
        </Actions>
      </>
    ),
  }
}

/** `unsafe`: the host is text, never a link. */
export function unsafePage(shell: Shell, host: string): View {
  const { words } = shell
  return {
    id: 'unsafe',
    status: 200,
    title: 'unsafe.title',
    icon: 'attention',
    body: (
      <>
        <Sign kind="warn" />
        <Heading shell={shell} word="unsafe.h1" focus />
        <p>
          {host === ''
            ? words.text('unsafe.body-no-host', { name: shell.config.portal.name })
            : words.rich('unsafe.body', { host: siteName(host), name: shell.config.portal.name })}
        </p>
        <Actions>
          <LinkButton kind="primary" href={shell.plainUrl('/')}>
            {words.text('common.your-sites')}
          </LinkButton>
        </Actions>
      </>
    ),
  }
}

/** `signout.ask` */
export function signoutPage(shell: Shell): View {
  const { words } = shell
  return {
    id: 'signout.ask',
    status: 200,
    title: 'signout.ask.title',
    icon: 'door',
    body: (
      <>
        <Heading shell={shell} word="signout.ask.h1" />
        <p>{words.rich('signout.ask.body', { domain: <b dir="ltr">{shell.domain.domain}</b> })}</p>
        <Form shell={shell} action="/logout">
          <Button kind="primary" busy={words.text('signout.ask.busy')}>
            {words.text('common.sign-out')}
          </Button>
        </Form>
        <Actions>
          <LinkButton kind="second" href={shell.plainUrl('/')}>
            {words.text('signout.ask.stay')}
          </LinkButton>
        </Actions>
      </>
    ),
  }
}

/** `signout.done`. @param back a safe URL that the person came from  @param everywhere how many browsers were signed out, where that was asked for */
export function signedOutPage(
  shell: Shell,
  back: { url: string; host: string } | null,
  everywhere: number | null,
): View {
  const { words } = shell
  return {
    id: 'signout.done',
    status: 200,
    title: 'signout.done.title',
    icon: 'door',
    body: (
      <>
        <Heading shell={shell} word="signout.done.h1" focus />
        {everywhere !== null && <p>{words.text('signout.done.everywhere', { n: everywhere })}</p>}
        <p>{words.text('signout.done.body')}</p>
        <Actions>
          <LinkButton kind="primary" href={shell.plainUrl('/')}>
            {words.text('signout.done.primary')}
          </LinkButton>
          {back !== null && (
            <LinkButton kind="second" href={back.url}>
              {words.rich('signout.done.back', { site: siteName(back.host) })}
            </LinkButton>
          )}
        </Actions>
      </>
    ),
  }
}
