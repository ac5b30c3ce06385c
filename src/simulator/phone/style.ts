/** The phone's style sheet: warm stone and one green door, as in the portal; the frame is a phone from a desk's width on. */
export const phoneStyle = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#e9e6df, #0b0d0c);
  --screen: light-dark(#f3f1ec, #121513);
  --card: light-dark(#ffffff, #1b201d);
  --sunken: light-dark(#f7f6f2, #151917);
  --ink: light-dark(#1c211e, #edf0ec);
  --quiet: light-dark(#545d57, #a8b2ab);
  --line: light-dark(#d5d1c8, #38403b);
  --accent: light-dark(#0b6656, #63d0b6);
  --accent-strong: light-dark(#084f43, #86dfc9);
  --on-accent: light-dark(#ffffff, #06231d);
  --danger: light-dark(#a8201a, #ffb3a8);
  --danger-ground: light-dark(#fceeec, #3a1b18);
  --warn: light-dark(#7a4a00, #f3c568);
  --warn-ground: light-dark(#fdf3df, #33260d);
  --field: light-dark(#7b8279, #7d887f);
  --call-top: light-dark(#24534a, #16332d);
  --call-bottom: light-dark(#12302a, #0d1f1b);
  --on-call: #ffffff;
  --on-call-quiet: #cfe3dc;
  --token-light: light-dark(#3c5f9e, #2d4a7e);
  --token-dark: light-dark(#22386a, #182a50);
  --ok: light-dark(#17663a, #88dca8);
  --focus: light-dark(#1652c4, #a3c7ff);
  --frame: light-dark(#22262a, #2c312e);
  --shadow: light-dark(rgb(40 36 24 / 28%), rgb(0 0 0 / 70%));
}
* { box-sizing: border-box; margin: 0; }
body {
  min-height: 100vh; min-height: 100dvh; display: flex; flex-direction: column;
  background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, 'Segoe UI', Roboto, 'Noto Sans', sans-serif;
}
h1, h2 { line-height: 1.25; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; }
ul { list-style: none; padding: 0; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.quiet { color: var(--quiet); font-size: .875rem; }
.icon { width: 1.25rem; height: 1.25rem; flex: none; fill: none; stroke: currentColor; stroke-width: 1.9; stroke-linecap: round; stroke-linejoin: round; }
.label { padding: .5rem 1rem; text-align: center; font-size: .875rem; background: var(--warn-ground); color: var(--warn); border-bottom: 1px solid color-mix(in srgb, var(--warn) 30%, transparent); }

.stage { flex: 1; display: flex; flex-direction: column; }
.beside { padding: .75rem 1rem; display: flex; align-items: center; gap: .25rem .75rem; flex-wrap: wrap; }
.beside h1 { font-size: 1.25rem; }
.back { display: inline-flex; align-items: center; gap: .25rem; min-height: 2.75rem; text-decoration: none; font-weight: 500; }
.back:hover { text-decoration: underline; }
.phone { flex: 1; display: flex; }
.screen { flex: 1; min-width: 0; padding: 1rem; background: var(--screen); display: flex; flex-direction: column; gap: 1rem; }
.bar { display: none; }
.now { flex: 1; display: flex; flex-direction: column; gap: 1rem; }

.calm { margin: auto; padding: 2rem 1rem; text-align: center; display: grid; justify-items: center; gap: .5rem; }
.calm h2 { font-size: 1.25rem; }
.calm .icon { width: 4.5rem; height: 4.5rem; padding: 1.1rem; margin-bottom: .5rem; border-radius: 50%; color: var(--accent); background: color-mix(in srgb, var(--accent) 12%, transparent); }

.request { padding: 1.25rem; border-radius: 1.5rem; background: var(--card); box-shadow: 0 1px 2px var(--shadow), 0 12px 32px -18px var(--shadow); display: grid; gap: 1rem; animation: arrive .25s ease-out; }
@keyframes arrive { from { opacity: 0; transform: translateY(.75rem); } }
.kind { display: flex; align-items: center; gap: .5rem; min-width: 0; color: var(--accent); font-size: .875rem; font-weight: 600; overflow-wrap: anywhere; }
.request h2 { font-size: 1.375rem; font-weight: 500; letter-spacing: -.01em; text-wrap: balance; }
.request b { font-weight: 700; }
dl { display: grid; border-radius: 1rem; background: var(--sunken); padding: .25rem 1rem; max-height: 21rem; overflow-y: auto; }
dl > div { display: grid; grid-template-columns: minmax(4rem, auto) 1fr; gap: 1rem; padding: .5rem 0; }
dl > div + div { border-top: 1px solid var(--line); }
dt { color: var(--quiet); font-size: .875rem; line-height: 1.5rem; overflow-wrap: anywhere; }
dd { font-weight: 600; text-align: end; min-width: 0; overflow-wrap: anywhere; }
.left { display: grid; gap: .375rem; justify-items: center; font-variant-numeric: tabular-nums; }
progress { width: 100%; height: 4px; border: 0; border-radius: 2px; overflow: hidden; appearance: none; background: var(--line); }
progress::-webkit-progress-bar { background: var(--line); }
progress::-webkit-progress-value { background: var(--accent); transition: width 1s linear; }
progress::-moz-progress-bar { background: var(--accent); }
.answers { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; }
.answers > .left, .code-entry { grid-column: 1 / -1; }
.left { padding-bottom: .25rem; }
button, .wide { min-height: 3.5rem; padding: .5rem; display: inline-flex; align-items: center; justify-content: center; gap: .5rem; border: 2px solid transparent; border-radius: 1.125rem; font: inherit; font-weight: 650; cursor: pointer; transition: background .12s, transform .12s; }
button:active, .wide:active { transform: scale(.98); }
.approve { background: var(--accent); color: var(--on-accent); }
.approve:hover { background: var(--accent-strong); }
.deny { background: var(--danger-ground); color: var(--danger); }
.deny:hover { border-color: currentColor; }
.fraud { grid-column: 1 / -1; min-height: 2.75rem; background: none; color: var(--danger); font-weight: 500; text-decoration: underline; text-underline-offset: .2em; text-decoration-thickness: 1px; }
.fraud:hover { text-decoration-thickness: 2px; }

.code-entry { display: grid; gap: .5rem; justify-items: center; text-align: center; padding: 1rem; border-radius: 1rem; background: color-mix(in srgb, var(--accent) 9%, transparent); }
.code-entry label { font-weight: 600; }
input { min-height: 3rem; padding: .25rem .75rem; border: 2px solid var(--field); border-radius: .875rem; background: var(--card); color: var(--ink); font: inherit; }
input:hover { border-color: var(--accent); }
input[aria-invalid='true'] { border-color: var(--danger); }
.code { width: min(100%, 14rem); text-align: center; font-size: 2rem; font-weight: 650; letter-spacing: .35em; text-indent: .35em; font-variant-numeric: tabular-nums; }
.wrong { color: var(--danger); font-size: .875rem; font-weight: 600; }

.call { flex: 1; padding: 2rem 1.25rem 1.25rem; border-radius: 1.5rem; background: linear-gradient(var(--call-top), var(--call-bottom)); color: var(--on-call); display: flex; flex-direction: column; align-items: center; gap: .75rem; text-align: center; animation: arrive .25s ease-out; }
.caller { width: 6rem; height: 6rem; margin: .75rem; display: grid; place-items: center; border-radius: 50%; background: rgb(255 255 255 / 14%); }
.caller .icon { width: 2.5rem; height: 2.5rem; }
.ringing { animation: ring 1.6s ease-out infinite; }
@keyframes ring { from { box-shadow: 0 0 0 0 rgb(255 255 255 / 35%); } to { box-shadow: 0 0 0 1.75rem rgb(255 255 255 / 0%); } }
.call h2 { font-size: 1.5rem; font-weight: 600; }
.call-words { max-width: 20rem; color: var(--on-call-quiet); overflow-wrap: anywhere; }
.call .answers { width: 100%; margin-top: auto; padding-top: 1rem; }
.call .quiet { color: var(--on-call-quiet); }
.call progress { background: rgb(255 255 255 / 20%); }
.call progress::-webkit-progress-bar { background: rgb(255 255 255 / 20%); }
.call progress::-webkit-progress-value { background: var(--on-call); }
.call progress::-moz-progress-bar { background: var(--on-call); }
.hang-up { background: #c8322b; color: #fff; }
.hang-up .icon { transform: rotate(135deg); }
.hang-up:hover { background: #a8201a; }
.pick-up { background: #4fd18b; color: #06231d; }
.pick-up:hover { background: #7be3aa; }
.call .fraud { color: var(--on-call); }
.key { width: 1.75rem; height: 1.75rem; display: grid; place-items: center; border-radius: 50%; background: rgb(0 0 0 / 16%); font-size: 1.125rem; }

.part h2 { margin: 0 .25rem .5rem; color: var(--quiet); font-size: .875rem; font-weight: 600; }
.passcode { display: flex; align-items: center; justify-content: space-between; gap: .75rem; padding: .75rem .75rem .75rem 1.25rem; border-radius: 1.25rem; background: var(--card); }
.passcode > div { display: grid; }
.digits { display: inline-flex; font-size: 1.75rem; line-height: 1.25; font-weight: 650; letter-spacing: .06em; font-variant-numeric: tabular-nums; }
.gap { width: .4em; }
.digits.hidden { color: var(--quiet); }
.refresh { min-height: 2.75rem; padding: .25rem 1rem; border-radius: 1rem; background: color-mix(in srgb, var(--accent) 12%, transparent); color: var(--accent); }
.refresh:hover { border-color: currentColor; }

.messages ul { display: grid; gap: .5rem; }
.message { padding: .75rem 1rem; border-radius: 1.25rem 1.25rem 1.25rem .375rem; background: var(--card); }
.message-head { display: flex; align-items: center; gap: .5rem; }
.message-head .icon { color: var(--accent); }
.message-head time { margin-inline-start: auto; font-variant-numeric: tabular-nums; }
.old { opacity: 1; background: var(--sunken); }
.old, .old .icon { color: var(--quiet); }
.codes { display: flex; flex-wrap: wrap; gap: .25rem .875rem; font-weight: 600; font-variant-numeric: tabular-nums; letter-spacing: .02em; }
.codes s { color: var(--quiet); font-weight: 400; }

.desk { display: grid; justify-items: center; align-content: start; gap: 1.25rem; padding: 2rem 1rem; flex: 1; text-align: center; }
.token { display: grid; justify-items: center; gap: .875rem; width: min(100%, 22rem); padding: 1.25rem 1.5rem 1.75rem; border-radius: 5.5rem 5.5rem 4rem 4rem; background: linear-gradient(160deg, var(--token-light), var(--token-dark)); color: #fff; box-shadow: inset 0 0 0 2px rgb(255 255 255 / 14%), 0 24px 48px -24px var(--shadow); }
.ring { width: 2.25rem; height: 2.25rem; border-radius: 50%; background: var(--ground); box-shadow: inset 0 2px 4px rgb(0 0 0 / 40%); }
.token-name { font-size: .875rem; font-weight: 600; letter-spacing: .02em; overflow-wrap: anywhere; }
.token .digits { width: 100%; justify-content: center; padding: .75rem; border-radius: .75rem; background: #c5d2b6; color: #1b231a; font-family: ui-monospace, 'SF Mono', 'DejaVu Sans Mono', monospace; font-size: 2rem; box-shadow: inset 0 2px 6px rgb(0 0 0 / 35%); }
.token .digits.hidden { color: #5d6a54; }
.token-button { width: 5.5rem; height: 5.5rem; border-radius: 50%; background: #f1efe8; color: #1c211e; box-shadow: 0 4px 10px rgb(0 0 0 / 35%); }
.token-button:hover { background: #fff; }

.enrol { justify-items: center; text-align: center; text-wrap: balance; padding-top: clamp(2rem, 12vh, 7rem); }
.enrol .quiet { max-width: 28rem; }
.enrol form { width: 100%; display: grid; gap: .75rem; text-align: start; padding: 1.25rem; border-radius: 1.5rem; background: var(--card); }
.enrol label { font-weight: 600; }
.enrol label .quiet { font-weight: 400; }
.done { width: 4.5rem; height: 4.5rem; display: grid; place-items: center; border-radius: 50%; background: color-mix(in srgb, var(--accent) 12%, transparent); color: var(--accent); }
.done .icon { width: 2.25rem; height: 2.25rem; }
.wide { width: 100%; text-decoration: none; }

.earlier ul { border-radius: 1rem; background: var(--card); padding: .25rem 1rem; }
.earlier li { display: grid; grid-template-columns: auto 1fr auto; align-items: center; gap: .75rem; padding: .5rem 0; }
.earlier li + li { border-top: 1px solid var(--line); }
.earlier time { font-variant-numeric: tabular-nums; }
.ended-approved .icon { color: var(--ok); }
.ended-denied .icon, .ended-fraud .icon { color: var(--danger); }
.ended-timed-out .icon { color: var(--quiet); }
.notice { padding: .75rem 1rem; border-inline-start: 4px solid var(--warn); border-radius: .5rem; background: var(--warn-ground); color: var(--ink); overflow-wrap: anywhere; }

.list { width: 100%; max-width: 34rem; margin: 0 auto; padding: 2.5rem 1rem; display: grid; gap: 1.5rem; align-content: start; }
.list > h1 + .quiet { margin-top: -1.25rem; }
.owner h2 { display: flex; align-items: center; gap: .75rem; margin-bottom: .75rem; font-size: 1.125rem; }
.initial { width: 2.25rem; height: 2.25rem; flex: none; display: grid; place-items: center; border-radius: 50%; background: var(--accent); color: var(--on-accent); font-size: 1rem; }
.owner ul { display: grid; gap: .75rem; }
.tile { display: flex; align-items: center; gap: 1rem; padding: 1rem 1.25rem; border: 2px solid transparent; border-radius: 1.25rem; background: var(--card); color: inherit; text-decoration: none; box-shadow: 0 1px 2px var(--shadow); transition: border-color .12s; }
.tile:hover { border-color: var(--accent); }
.tile > .icon:first-child { width: 1.75rem; height: 1.75rem; color: var(--accent); }
.tile > .icon:last-child { color: var(--quiet); }
.tile-words { flex: 1; min-width: 0; display: grid; overflow-wrap: anywhere; }
.badge { padding: .125rem .625rem; border-radius: 1rem; background: var(--warn-ground); color: var(--warn); font-size: .875rem; font-weight: 600; white-space: nowrap; }
.badge.live { background: var(--accent); color: var(--on-accent); }

@media (max-width: 43.99rem) {
  .beside { padding: .25rem 1rem; }
  .beside .quiet { flex-basis: 100%; padding-bottom: .5rem; }
}
@media (max-width: 43.99rem) and (max-height: 52rem), (max-width: 24rem) {
  .beside .quiet { display: none; }
  .screen { padding: .75rem; }
  .request { padding: 1rem; gap: .625rem; border-radius: 1.25rem; }
  .request h2 { font-size: 1.25rem; }
  dl { padding: .125rem .75rem; }
  dl > div { grid-template-columns: auto 1fr; gap: .75rem; padding: .25rem 0; }
  dd { font-size: .9375rem; }
  .left { grid-template-columns: 1fr auto; align-items: center; gap: .75rem; }
  .answers { gap: .25rem .625rem; }
  .code-entry { padding: .625rem; gap: .25rem; }
  .code { font-size: 1.625rem; }
  .call { padding: 1rem; }
  .caller { width: 4.5rem; height: 4.5rem; margin: .5rem; }
  button, .wide { min-height: 3rem; }
}
@media (min-width: 44rem) {
  .stage { flex-direction: row; justify-content: center; align-items: flex-start; gap: 3.5rem; padding: 2.5rem 2rem; }
  .beside { flex: 0 1 14rem; flex-direction: column; align-items: flex-start; gap: .25rem; padding: 3rem 0 0; }
  .beside h1 { font-size: 2rem; letter-spacing: -.02em; }
  .phone { flex: 0 0 25rem; min-height: clamp(42rem, calc(100vh - 8rem), 50rem); padding: .75rem; border-radius: 3.75rem; background: var(--frame); box-shadow: inset 0 0 0 2px rgb(255 255 255 / 14%), 0 40px 80px -32px var(--shadow), 0 2px 6px var(--shadow); }
  .screen { border-radius: 3rem; padding: .875rem 1.125rem 1.5rem; overflow: hidden; }
  .bar { display: grid; grid-template-columns: 1fr auto 1fr; align-items: center; padding: 0 .875rem; font-size: .875rem; font-weight: 650; font-variant-numeric: tabular-nums; }
  .island { width: 6rem; height: 1.75rem; border-radius: 1rem; background: #000; }
  .signals { display: flex; justify-content: flex-end; gap: .25rem; }
  .part:last-child { padding-bottom: .75rem; }
  .desk { flex: 0 0 25rem; padding-top: 3rem; }
  .screen::after { content: ''; width: 8rem; height: .3125rem; margin: 0 auto -.5rem; border-radius: 1rem; background: var(--ink); opacity: .8; }
}
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
@media (prefers-contrast: more) { :root { --quiet: var(--ink); --line: var(--ink); } }
@media (forced-colors: active) { .request, .tile, .earlier ul, .passcode, .message, .token, .deny, .approve, .hang-up, .pick-up, .refresh, .token-button, .badge { border: 2px solid; } }
`
