import Fastify, { type FastifyInstance } from 'fastify'
import { render } from 'preact-render-to-string'
import { headerLines } from '../../http/headers.ts'

const style = `
:root{color-scheme:light dark;--ground:#f3f1ec;--card:#fff;--ink:#1c211e;--quiet:#545d57;--line:#d5d1c8;--accent:#0b6656}
@media(prefers-color-scheme:dark){:root{--ground:#121513;--card:#1b201d;--ink:#edf0ec;--quiet:#a8b2ab;--line:#38403b;--accent:#63d0b6}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,sans-serif;display:grid;place-items:start center;padding:12vh 1rem 2rem}
main{inline-size:100%;max-inline-size:34rem;background:var(--card);border:1px solid var(--line);border-radius:12px;padding:2rem}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .25rem}p{color:var(--quiet);margin:0 0 1.5rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.5rem 1.5rem;margin:0 0 1.5rem;border-block:1px solid var(--line);padding-block:1rem}
dt{color:var(--quiet);font-family:ui-monospace,monospace;font-size:.875rem}dd{margin:0;overflow-wrap:anywhere}
a{color:var(--accent)}nav{display:flex;gap:1.5rem;flex-wrap:wrap}`

interface App {
  readonly title: string
  readonly wants: string
}

const apps: Record<string, App> = {
  one: { title: 'Sample app one', wants: 'This app asks for a password.' },
  two: { title: 'Sample app two', wants: 'This app asks for a password and an approval on the phone.' },
}

/**
 * The two sample apps behind the gate: they show who they were told is there. They know nothing of Postern.
 * @param portal the portal's URL, for the link that signs out
 */
export function sampleApps(portal: string): FastifyInstance {
  const server = Fastify({ logger: false })
  server.get('/*', (request, reply) => {
    const app = apps[request.host.split('.')[0] ?? '']
    const identity = ['Remote-User', 'Remote-Groups', 'Remote-Name', 'Remote-Email'].map(name => ({
      name,
      // HTTP headers are bytes; what the gate sends is UTF-8.
      value: Buffer.from(headerLines(request.raw.rawHeaders, name.toLowerCase()).join(' / '), 'latin1').toString(),
    }))
    return reply
      .type('text/html; charset=utf-8')
      .send(`<!doctype html>${render(page(app, request.url, identity, portal))}`)
  })
  return server
}

function page(app: App | undefined, path: string, identity: { name: string; value: string }[], portal: string) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>{app?.title ?? 'Sample app'}</title>
        <style>{style}</style>
      </head>
      <body>
        <main>
          <h1>{app?.title ?? 'Sample app'}</h1>
          <p>
            {app?.wants} You asked for <code>{path}</code>, and this is what the gate says of you:
          </p>
          <dl>
            {identity.map(({ name, value }) => (
              <>
                <dt>{name}</dt>
                <dd>{value === '' ? '–' : value}</dd>
              </>
            ))}
          </dl>
          <nav>
            <a href={portal}>Your sites</a>
            <a href={`${portal}/logout`}>Sign out</a>
          </nav>
        </main>
      </body>
    </html>
  )
}
