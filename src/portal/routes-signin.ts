import { SECOND } from '../clock.ts'
import type { Visit } from '../login/login.ts'
import { type Context, formOf, type Portal } from './context.ts'
import type { Message } from './message.ts'
import { homePage } from './pages/home.tsx'
import { errorPage, limitedPage } from './pages/refused.tsx'
import { bannedPage, fraudPage, helpPage, type SigninNews, signinPage } from './pages/signin.tsx'
import type { View } from './pages/view.ts'
import type { Pages } from './portal.ts'

const NAME_KEPT_AT_MOST = 256 // the message must fit into a cookie

/** `/` and what is done with a password. */
export function signinRoutes(pages: Pages, { login }: Portal): void {
  pages.get('/', async context => {
    const { visit, rd } = context
    if (visit.who === null) return context.show(signinView(context))
    if (rd !== undefined) {
      const next = login.next(visit, rd)
      if (next.to !== 'home') return context.goOn(next)
    }
    const { session, person } = visit.who
    const confirmed =
      visit.level === 2 && session.secondFactor !== null ? { by: session.secondFactor, until: session.expiresAt } : null
    const sites = login.sites(visit)
    const canConfirm = visit.level < 2 && login.secondFactorConfigured && sites.some(site => site.needsSecondFactor)
    const refusal = await login.refusal(visit)
    return context.show(homePage(context.shell, person.displayName, confirmed, sites, { canConfirm, refusal }))
  })

  pages.post('/notice/seen', '/', async context => {
    await login.refusalSeen(context.visit)
    return context.goTo('/')
  })

  pages.post('/login', '/', async (context, request) => {
    const form = formOf(request)
    const { visit, rd } = context
    const username = (form.get('username') ?? '').trim()
    const password = form.get('password') ?? ''
    const shown = username.slice(0, NAME_KEPT_AT_MOST)
    if (username === '' || password === '') {
      const missing = username === '' ? (password === '' ? 'both' : 'username') : 'password'
      return context.goSaying('/', { kind: 'empty', username: shown, missing })
    }
    const answer = await login.signIn(visit, { username, password, remember: form.get('keepMeLoggedIn') === 'true' })
    switch (answer.outcome) {
      case 'refused':
        return context.goSaying('/', { kind: 'wrong', username: shown, triesLeft: answer.triesLeft })
      case 'banned':
        return context.goSaying('/', { kind: 'banned', username: shown, until: answer.until })
      case 'busy':
        return context.goSaying('/', {
          kind: 'limited',
          until: context.shell.now + answer.retryAfterSeconds * SECOND,
        })
      case 'unavailable':
        return context.goSaying('/', {
          kind: 'down',
          ref: login.report(visit, 'login.unavailable', { reason: 'store-down' }),
        })
      case 'accepted': {
        context.setCookie(answer.started.cookie)
        const { session } = answer.started
        const now: Visit = { ...visit, who: { session, person: answer.person }, level: session.level, ended: null }
        return context.goOn(login.next(now, rd))
      }
    }
  })

  // Nothing reads a name or a password from a URL.
  pages.get('/help', context => context.show(helpPage(context.shell)))
}

function signinView({ visit, message, query, keepsCookies, shell }: Context): View {
  if (message?.kind === 'banned' && message.until > shell.now) return bannedPage(shell, message.until)
  if (message?.kind === 'limited' && message.until > shell.now) return limitedPage(shell, message.until)
  if (message?.kind === 'down') return errorPage(shell, 'down', message.ref)
  if (message?.kind === 'fraud') return fraudPage(shell, message.username, message.ref)
  // A POST has sent the browser here, and it brings no cookie at all.
  if (message === undefined && query.has('m') && !keepsCookies) return signinPage(shell, { kind: 'cookies' }, '')
  return signinPage(shell, newsOf(message, visit), usernameOf(message))
}

function newsOf(message: Message | undefined, visit: Visit): SigninNews | undefined {
  if (message?.kind === 'wrong' || message?.kind === 'empty' || message?.kind === 'stale') return message
  return visit.ended === null ? undefined : { kind: 'ended', how: visit.ended }
}

const usernameOf = (message: Message | undefined) =>
  message?.kind === 'wrong' || message?.kind === 'empty' || message?.kind === 'banned' ? message.username : ''
