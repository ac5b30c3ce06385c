// What a person's browser does, through the real proxy: visit.mjs PROXY-ADDRESS CA-FILE COOKIE-FILE sign-in|signed-in|unreachable
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'

const [address, caFile, cookieFile, what] = process.argv.slice(2)
const ca = readFileSync(caFile)
let cookies = existsSync(cookieFile) ? JSON.parse(readFileSync(cookieFile, 'utf8')) : {}

function ask(method, url, body) {
  const { hostname, pathname, search } = new URL(url)
  const cookie = Object.entries(cookies).map(pair => pair.join('='))
  return new Promise((resolve, reject) => {
    const headers = { host: hostname, accept: 'text/html', ...(cookie.length > 0 && { cookie: cookie.join('; ') }) }
    if (body !== undefined) headers['content-type'] = 'application/json'
    const options = {
      host: address,
      port: 443,
      servername: hostname,
      ca,
      method,
      path: pathname + search,
      headers,
      timeout: 20_000,
    }
    const sent = request(options, response => {
      let text = ''
      response.on('data', chunk => {
        text += chunk
      })
      response.on('end', () => {
        for (const line of response.headers['set-cookie'] ?? []) {
          const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? []
          cookies[name] = value
        }
        resolve({ status: response.statusCode, location: response.headers.location ?? '', text })
      })
    })
    sent.on('timeout', () => sent.destroy(new Error(`${method} ${url}: no answer within 20 s`)))
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

function check(what, holds, answer) {
  if (holds) return console.log(`          ok: ${what}`)
  console.log(`          NOT: ${what}\n${JSON.stringify(answer)}`)
  process.exit(1)
}

const app = 'https://app.example.com/where/I?was=going'
const portal = 'https://auth.example.com'

if (what === 'sign-in') {
  cookies = {}
  const first = await ask('GET', app)
  const sentTo = `${portal}/?rd=${encodeURIComponent(app)}`
  check('a stranger is sent to the portal', first.status === 302 && first.location.startsWith(sentTo), first)
  const page = await ask('GET', first.location)
  check('the portal shows the sign-in form', page.status === 200 && /name="password"/.test(page.text), page)
  const wrong = await ask('POST', `${portal}/api/firstfactor`, { username: 'alice', password: 'wrong', targetURL: app })
  check('a wrong password is refused', wrong.status === 401, wrong)
  const forged = await ask('GET', app)
  check('and the app stays closed', forged.status === 302, forged)
  const right = await ask('POST', `${portal}/api/firstfactor`, {
    username: 'alice',
    password: 'postern',
    targetURL: app,
  })
  check('the password is accepted', right.status === 200 && JSON.parse(right.text).status === 'OK', right)
  const half = await ask('GET', app)
  check('one factor does not open the app', half.status === 302, half)
  const push = await ask('POST', `${portal}/api/secondfactor/duo`, { targetURL: app })
  check('the Duo push is approved', push.status === 200 && JSON.parse(push.text).data?.redirect === app, push)
  writeFileSync(cookieFile, JSON.stringify(cookies))
}
if (what !== 'unreachable') {
  const open = await ask('GET', app)
  check('the app is open', open.status === 200, open)
  check('at the address first asked for', open.text.startsWith('GET /where/I?was=going'), open)
  check(
    'and is told who it is',
    /^remote-user: alice$/im.test(open.text) && /^remote-groups: staff$/im.test(open.text),
    open,
  )
} else {
  const closed = await ask('GET', app)
  check('without Postern the app is closed', closed.status >= 500 && !closed.text.includes('Remote-User'), closed)
}
