import type { VNode } from 'preact'
import { renderToString } from 'preact-render-to-string'
import { Mark } from '../look/icons.tsx'
import { Form, isWebUrl, Notice } from './parts.tsx'
import type { Shell, View } from './view.ts'

export function assetUrl(shell: Pick<Shell, 'plainUrl'>, asset: { name: string }): string {
  return shell.plainUrl(`/static/${asset.name}`)
}

function Frame({ shell, view }: { shell: Shell; view: View }): VNode {
  const { words, config, assets } = shell
  const { name, links } = config.portal
  const title = `${view.error ? words.text('common.error-title') : ''}${words.text(view.title)} – ${name}`
  return (
    <html lang={words.language} dir="ltr" data-page={view.id} data-level={shell.level}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <meta name="format-detection" content="telephone=no" />
        <title>{title}</title>
        <link rel="icon" type="image/svg+xml" href={assetUrl(shell, assets.icons[view.icon])} />
        <link rel="stylesheet" href={assetUrl(shell, assets.style)} />
        {!shell.foreign && <script type="module" src={assetUrl(shell, assets.script)} />}
        {view.again && (
          <noscript>
            <meta http-equiv="refresh" content={`${view.again.seconds};url=${view.again.url}`} />
          </noscript>
        )}
      </head>
      <body>
        {shell.simulated && (
          <aside class="demo">
            <p>{words.text('common.demo')}</p>
          </aside>
        )}
        <div class={view.wide ? 'page wide' : 'page'}>
          <header>
            <a class="brand" href={shell.username === null ? shell.url('/') : shell.plainUrl('/')}>
              <Mark />
              <span>{name}</span>
            </a>
            {shell.username !== null && shell.token !== null && (
              <Form shell={shell} action="/logout" className="who" extra={{ switch: '1' }}>
                <bdi title={shell.username}>{shell.username}</bdi>
                <button type="submit" class="small">
                  {words.text('common.switch')}
                </button>
              </Form>
            )}
          </header>
          <main class="card" id="main">
            {view.stale && (
              <Notice kind="info">
                <p>{words.text('common.stale')}</p>
              </Notice>
            )}
            {view.body}
            {!view.ownStatus && <p class="status quiet-status" role="status" />}
          </main>
          <footer>
            <a href={shell.url('/help')}>{words.text('common.help')}</a>
            {links
              .filter(link => isWebUrl(link.url))
              .map(link => (
                <a key={link.url} href={link.url}>
                  {link.name}
                </a>
              ))}
          </footer>
        </div>
      </body>
    </html>
  )
}

/** The page as HTML. */
export function renderPage(shell: Shell, view: View): string {
  return `<!doctype html>${renderToString(<Frame shell={shell} view={view} />)}`
}
