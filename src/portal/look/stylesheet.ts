import type { Colours } from './tokens.ts'

const variables = (colours: Colours) =>
  Object.entries(colours)
    .map(([name, value]) => `--${name}:${value.toLowerCase()}`)
    .join(';')

function palette(themes: { light: Colours; dark: Colours }, theme: string): string {
  if (theme === 'light') return `:root{color-scheme:light;${variables(themes.light)}}`
  if (theme !== 'auto') return `:root{color-scheme:dark;${variables(themes.dark)}}`
  return `:root{color-scheme:light dark;${variables(themes.light)}}@media (prefers-color-scheme:dark){:root{${variables(themes.dark)}}}`
}

// Logical properties only, so that right-to-left languages mirror by themselves. Space: 4 8 12 16 24 32 48. Type: 14 16 20 24.
const rules = `
*,::before,::after{box-sizing:border-box}
html{font:100%/1.5 system-ui,"Segoe UI",Roboto,"Noto Sans",sans-serif;background:var(--ground);color:var(--ink);-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;min-block-size:100vh;min-block-size:100svh;display:flex;flex-direction:column}
h1,h2,p,ul,ol,dl,dd,fieldset{margin:0;padding:0}
[hidden]{display:none!important}
a{color:var(--link);text-underline-offset:.2em;text-decoration-thickness:1px}
a:hover{color:var(--strong);text-decoration-thickness:2px}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px;border-radius:4px}
h1:focus,.notice:focus{outline:none}
b{font-weight:600;overflow-wrap:anywhere}

.demo{background:var(--warn-ground);color:var(--warn);font-size:.875rem;font-weight:600;text-align:center;padding:8px 16px;border-block-end:1px solid var(--line)}
.page{inline-size:100%;max-inline-size:29rem;margin-inline:auto;padding:24px 16px 32px;flex:1;display:flex;flex-direction:column}
header{display:flex;flex-wrap:wrap;align-items:center;justify-content:space-between;gap:8px 16px;min-block-size:40px;margin-block-end:16px}
.brand{display:inline-flex;align-items:center;gap:12px;min-block-size:40px;font-weight:600;font-size:1.125rem;letter-spacing:-.01em;color:inherit;text-decoration:none;overflow-wrap:anywhere}
.brand:hover{color:inherit}
.mark{flex:none;inline-size:32px;block-size:32px}
.gate{fill:var(--accent)}
.door{fill:var(--on-accent)}
.knob{fill:var(--accent)}
.who{display:flex;align-items:center;gap:8px;min-inline-size:0;max-inline-size:100%;font-size:.875rem;color:var(--quiet)}
.who bdi{min-inline-size:0;max-inline-size:11rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}

.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:24px;animation:rise .15s ease-out}
.card>*+*,.card form>*+*,.card>[data-poll]>*+*,.card>[data-again]>*+*{margin-block-start:16px}
h1{font-size:1.5rem;line-height:1.25;font-weight:650;letter-spacing:-.015em;text-wrap:balance;overflow-wrap:anywhere}
h2{font-size:1rem;line-height:1.25;font-weight:650}
.card p{text-wrap:pretty}
.card>.lede,.card>h1+p,.card [data-poll]>h1+p,.card [data-again]>h1+p{margin-block-start:8px}
.card>h2{margin-block-start:24px}
.card>form,.card>.lede+form{margin-block-start:24px}
.lede,.quiet,.hint{color:var(--quiet)}
.lede b{color:var(--ink)}
.hint,.said{font-size:.875rem}
.said{color:var(--quiet);overflow-wrap:anywhere}
q{quotes:"“" "”";font-style:normal}

.sign{display:grid;place-items:center;inline-size:48px;block-size:48px;border-radius:50%;border:2px solid transparent}
.sign .icon{stroke-width:2.4}
.card>.sign+h1,.card>*>.sign+h1{margin-block-start:16px}
.sign.ok{background:var(--ok-ground);color:var(--ok)}
.sign.warn{background:var(--warn-ground);color:var(--warn)}
.sign.danger{background:var(--danger-ground);color:var(--danger)}
.icon{flex:none;fill:none;stroke:currentColor;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}

.notice{border-radius:4px 8px 8px 4px;border:1px solid transparent;border-inline-start:4px solid;padding:12px 16px;color:var(--ink)}
.notice>*+*{margin-block-start:4px}
.notice.info{background:var(--info-ground);border-inline-start-color:var(--info)}
.notice.warn{background:var(--warn-ground);border-inline-start-color:var(--warn)}
.notice.danger{background:var(--danger-ground);border-inline-start-color:var(--danger)}
.notice.ok{background:var(--ok-ground);border-inline-start-color:var(--ok)}
.notice-heading{font-weight:650}
.warn>.notice-heading{color:var(--warn)}
.danger>.notice-heading{color:var(--danger)}
.faults{list-style:none}
.faults a{color:inherit;font-weight:500}
.notice+h1{margin-block-start:24px}

label,legend{font-weight:600}
label{display:block}
legend{padding:0;margin-block-end:8px}
fieldset{border:0;min-inline-size:0}
.field label{margin-block-end:4px}
.field-error{color:var(--danger);font-weight:500;font-size:.875rem;margin-block-end:4px}
.input{position:relative;display:flex}
.input input{flex:1;min-inline-size:0;block-size:48px;padding-inline:12px;font:inherit;color:var(--ink);background:var(--card);border:1px solid var(--edge);border-radius:8px;transition:border-color .1s}
.input input:hover{border-color:var(--ink)}
.input input:focus-visible{outline-offset:1px;border-radius:8px}
.wrong input{border:2px solid var(--danger);padding-inline:11px}
.input .reveal{position:absolute;inset-block-start:6px;inset-inline-end:6px;border-color:transparent;color:var(--link);font-weight:600}
.input:has(.reveal:not([hidden])) input{padding-inline-end:76px}
.check{display:grid;grid-template-columns:auto 1fr;column-gap:12px;align-items:start;min-block-size:44px;padding-block:4px}
.check input{inline-size:20px;block-size:20px;margin:2px 0;accent-color:var(--accent)}
.check label{font-weight:400;text-wrap:pretty}
.check .hint{display:block}

.button{display:flex;align-items:center;justify-content:center;inline-size:100%;min-block-size:48px;padding:10px 16px;font:inherit;font-weight:600;line-height:1.25;text-align:center;text-decoration:none;border-radius:8px;border:2px solid transparent;cursor:pointer;overflow-wrap:anywhere;transition:background-color .1s,border-color .1s,color .1s}
.primary,.primary:hover{background:var(--accent);color:var(--on-accent)}
.primary:hover{background:var(--strong)}
.second{background:none;color:var(--ink);border-color:var(--edge)}
.second:hover{background:var(--sunken);border-color:var(--ink);color:var(--ink)}
.button.danger{background:none;color:var(--danger);border-color:var(--danger)}
.button.danger:hover{background:var(--danger-ground)}
.button:focus-visible{border-radius:8px}
.button[aria-disabled]{cursor:progress;opacity:.85}
.small{font:inherit;font-size:.875rem;font-weight:500;line-height:1.25;min-block-size:36px;padding:4px 12px;border-radius:8px;border:1px solid var(--line);background:none;color:var(--ink);cursor:pointer;white-space:nowrap}
.small:hover{background:var(--sunken);border-color:var(--edge)}
header .small{background:var(--card)}
.actions{display:flex;flex-wrap:wrap;gap:12px}
.card .actions>*{flex:1 1 9rem}
.card .actions>*,.card .actions form>*{margin-block-start:0}
.card .actions>.primary{flex-basis:100%}
.card>.actions,.card>*>.actions{margin-block-start:24px}
.card form+.actions{margin-block-start:12px}
.ways{list-style:none;display:flex;flex-wrap:wrap;gap:4px 24px}
.ways a{display:inline-block;padding-block:4px}

.tiles{list-style:none;display:grid;gap:8px}
.tile{display:flex;align-items:center;gap:12px;min-block-size:56px;padding:10px 16px;border:1px solid var(--edge);border-radius:10px;background:var(--card);color:inherit;text-decoration:none;font-weight:400;cursor:pointer;transition:background-color .1s,border-color .1s}
.tile:hover{background:var(--sunken);border-color:var(--ink);color:inherit}
.tile input{flex:none;inline-size:20px;block-size:20px;margin:0;accent-color:var(--accent)}
.tile .icon{color:var(--quiet)}
.tile-words{display:flex;flex-direction:column;flex:1;min-inline-size:0;line-height:1.375}
.tile-words>*{overflow-wrap:anywhere}
.tile-words .quiet{font-size:.875rem}
.ending,time:not([data-as=both]){white-space:nowrap}
.tile:has(:checked){border-color:var(--accent);box-shadow:inset 0 0 0 1px var(--accent);background:var(--sunken)}
.tile:has(:checked) .icon{color:var(--accent)}
.tile:has(:focus-visible){outline:3px solid var(--focus);outline-offset:2px}
.tile :focus-visible{outline:none}
.others h2{margin-block-end:8px}
.card form>.others{margin-block-start:24px}
.card form:has(.others)+.actions{margin-block-start:24px}
button.tile{inline-size:100%;font:inherit;text-align:start}
button.tile:focus-visible{outline:3px solid var(--focus);outline-offset:2px;border-radius:10px}
.card section{margin-block-start:32px}
.card section>*+*{margin-block-start:12px}
.entries{list-style:none;border-block-start:1px solid var(--line)}
.entries>li{display:flex;align-items:center;gap:12px 16px;padding-block:12px;border-block-end:1px solid var(--line)}
.entries .icon{color:var(--quiet)}
.entries .tick{color:var(--ok)}
.entries .bar{color:var(--warn)}
.entries form,.row form{display:flex;flex:none}
.entries form>*,.card .row form>*{margin:0}
.bits>:not(:last-child)::after{content:" · "}
.entries b:has(.here){display:flex;flex-wrap:wrap;gap:4px 8px}
.here{padding:1px 8px;border-radius:99px;border:1px solid transparent;background:var(--ok-ground);color:var(--ok);font-size:.875rem;font-weight:500;white-space:nowrap}
.row{display:flex;flex-wrap:wrap;align-items:center;gap:8px}
a.small{display:inline-flex;align-items:center;text-decoration:none}
a.small:hover{color:var(--ink)}
.tag{display:inline-flex;align-items:center;align-self:start;gap:4px;font-size:.875rem;color:var(--quiet)}
.tag .icon{inline-size:16px;block-size:16px}

.card .waiting,.card .shown{margin-block-start:24px}
.waiting{display:flex;align-items:center;gap:16px;padding:16px;border-radius:10px;background:var(--sunken);border:1px solid var(--line)}
.waiting>div:last-child{flex:1;min-inline-size:0}
.ring{position:relative;flex:none;inline-size:72px;block-size:72px;display:grid;place-items:center}
.ring svg{position:absolute;inset:0;transform:rotate(-90deg)}
.ring circle{fill:none;stroke-width:6}
.track{stroke:var(--track)}
.value{stroke:var(--accent);stroke-linecap:butt}
.seconds{font-size:1.25rem;font-weight:650;font-variant-numeric:tabular-nums;visibility:hidden}
[data-script] .seconds{visibility:visible}
.status:empty,.alert:empty{display:block;block-size:0;margin:0!important}
.waiting .status{font-weight:600}
.alert{color:var(--danger);font-weight:500;font-size:.875rem}
.caps{color:var(--warn);font-size:.875rem;font-weight:500}
.card form>.caps:not(:empty){margin-block-start:4px}
.code-block{display:flex;flex-direction:column;align-items:center;gap:8px;padding:16px;border-radius:10px;background:var(--sunken);border:1px solid var(--line)}
.digits{display:flex;gap:.35em;font:600 clamp(2rem,11vw,3rem)/1.1 ui-monospace,"SF Mono",Menlo,Consolas,monospace;letter-spacing:.06em;font-variant-numeric:tabular-nums;user-select:all;-webkit-user-select:all}
.unseen{position:absolute;inline-size:1px;block-size:1px;margin:0;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.field .hint{margin-block-end:8px}
.input .passcode{font:500 1.25rem/1.5 ui-monospace,"SF Mono",Menlo,Consolas,monospace;letter-spacing:.08em}
.shown h2{margin-block-end:8px}
.shown .hint{margin-block-start:8px}
.facts{border-block-start:1px solid var(--line)}
.facts>div,.reference dl>div{display:grid;grid-template-columns:minmax(6.5rem,auto) 1fr;gap:0 16px;padding-block:8px;border-block-end:1px solid var(--line);font-size:.875rem}
.facts>div{grid-template-columns:6.5rem 1fr}
dt{color:var(--quiet)}
dd{min-inline-size:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
dd[dir]{text-align:start}
details{border-block-start:1px solid var(--line);padding-block-start:8px}
summary{min-block-size:44px;padding-block:10px;cursor:pointer;font-weight:600;color:var(--link)}
summary:hover{text-decoration:underline;text-underline-offset:.2em}
details ul{padding-inline-start:20px;display:grid;gap:8px;padding-block-end:4px;font-size:.875rem}
details ul ::marker,.steps ::marker{color:var(--quiet)}
.steps{padding-inline-start:24px;display:grid;gap:12px}
.steps ::marker{font-weight:600}
.steps li{padding-inline-start:8px}
.self a{display:inline-block;padding-block:8px}

.reference{background:var(--sunken);border:1px solid var(--line);border-radius:10px;padding:8px 16px 12px}
.reference dl{-webkit-user-select:all;user-select:all}
.reference dl>div{grid-template-columns:5rem 1fr}
.reference dl>div:last-child{border:0}
.code{font-family:ui-monospace,"SF Mono",Menlo,Consolas,monospace;font-size:.875rem}
.utc{display:block;color:var(--quiet)}
.tools{display:flex;flex-wrap:wrap;gap:8px;margin-block-start:4px}
.tools .small{background:var(--card)}

footer{display:flex;flex-wrap:wrap;gap:4px 24px;margin-block-start:16px;padding-inline:1px;font-size:.875rem}
footer a{color:var(--quiet);display:inline-block;padding-block:4px;min-block-size:28px}
footer a:hover{color:var(--ink)}

@media (min-width:40rem){
.page{padding-block-start:max(24px,16vh)}
.card{padding:32px}
.wide{max-inline-size:46rem}
.wide .sites{grid-template-columns:1fr 1fr}
.wide .actions>*{flex:0 1 auto;min-inline-size:12rem;inline-size:auto}
}
@media (max-width:30rem){.entries>li:has(form){display:grid;grid-template-columns:1fr auto;gap:4px 12px}.entries>li:has(form) .tile-words{display:contents}.entries>li:has(form) .tile-words>b{grid-area:1/1;align-self:center}.entries form{grid-area:1/2}.entries>li:has(form) .quiet{grid-area:2/1/3/3}}
@media (max-width:24rem){.card{padding:24px 20px}.tile{padding-inline:12px}}
@media (max-width:21rem){.card{padding:20px 16px}.waiting{padding:12px}}
@keyframes rise{from{opacity:0;transform:translateY(4px)}}
@media (prefers-reduced-motion:reduce){*,::before,::after{animation:none!important;transition:none!important}.value{display:none}}
@media (prefers-contrast:more){:root{--quiet:var(--ink);--line:var(--ink);--edge:var(--ink)}}
@media (forced-colors:active){.value{stroke:Highlight}.track{stroke:GrayText}.gate{fill:CanvasText}.door{fill:Canvas}.knob{fill:CanvasText}.tile:has(:checked){border:2px solid Highlight}.notice{border-color:CanvasText}.sign{border-color:currentColor}}
@media print{html{background:#fff;color:#000}header form,.actions,.tools,details,form,footer a:not([href^="mailto"]){display:none}.card,.reference,.notice{border:0;padding:0;background:none;animation:none}.page{padding:0}*{color:#000!important}}
`

/** The one stylesheet of all pages. @param theme the configuration's: `auto` follows the browser */
export function stylesheet(themes: { light: Colours; dark: Colours }, theme: string): string {
  return palette(themes, theme) + rules.replaceAll(/\n+/g, '')
}
