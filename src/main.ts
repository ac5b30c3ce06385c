#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'

// Each command is loaded when it is asked for: `postern hash` needs no server.
const { version, engines } = z
  .object({ version: z.string(), engines: z.object({ node: z.string() }) })
  .parse(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')))

const oldest = Number(/\d+/.exec(engines.node)?.[0])
if (Number.parseInt(process.versions.node, 10) < oldest) {
  const why = `Node ${oldest} or newer is needed, and this is ${process.versions.node}`
  console.error(`postern: ${why}: npm ci brings one, node_modules/.bin/node.`)
  process.exit(1)
}

function port(text: string): number {
  const number = Number(text)
  if (!/^\d{1,5}$/.test(text) || number > 65_535) throw new InvalidArgumentError('a port is a number from 0 to 65535.')
  return number
}

const configOption = () =>
  new Option('-c, --config <file>', 'the configuration file').env('POSTERN_CONFIG').default('configuration.yml')

const program = new Command('postern')
  .description('Forward-auth server for people with Duo: stands beside a reverse proxy and answers for every request.')
  .version(version)
  .showHelpAfterError()

program
  .command('serve')
  .description('serve until a signal ends it')
  .addOption(configOption())
  .action(async options => end(await (await import('./commands/serve.ts')).serve(options)))

program
  .command('check')
  .description('check the configuration and name every problem with its line')
  .addOption(configOption())
  .action(async options => end(await (await import('./commands/check.ts')).check(options)))

program
  .command('explain')
  .description('tell what the access rules decide about a URL, and why')
  .addOption(configOption())
  .requiredOption('--url <url>', 'the URL that is asked for')
  .option('--user <name>', 'who asks; otherwise somebody who has not signed in')
  .option('--groups <names>', 'their groups, with commas between; otherwise those of the users file or the directory')
  .option('--ip <address>', 'the address they come from')
  .option('--method <method>', 'how they ask', 'GET')
  .option('--json', 'print data')
  .action(async options => end(await (await import('./commands/explain.ts')).explain(options)))

program
  .command('doctor')
  .description(
    'look at all that sign-ins need, and ask Duo about each user: who could confirm one now, and what is in the way',
  )
  .addOption(configOption())
  .option('--json', 'for programs')
  .action(async options => end(await (await import('./commands/doctor.ts')).doctor(options)))

const sessions = program.command('sessions').description('list and end sessions; it counts from the next request on')
sessions
  .command('list')
  .description('print who is signed in, where and since when')
  .addOption(configOption())
  .option('--user <name>', 'of this person only')
  .option('--json', 'for programs')
  .action(async options => end(await (await import('./commands/sessions.ts')).listSessions(options)))
sessions
  .command('revoke')
  .description('end a session, all of a person, or all')
  .argument('[session]', 'as list shows it, or its beginning')
  .addOption(configOption())
  .option('--user <name>', 'all of this person')
  .option('--all', 'all of everybody')
  .action(async (session, options) =>
    end(await (await import('./commands/sessions.ts')).revokeSessions(session, options)),
  )

const bans = program.command('bans').description('list, add and lift bans of people and addresses')
bans
  .command('list')
  .description('print the bans in force')
  .addOption(configOption())
  .option('--json', 'for programs')
  .action(async options => end(await (await import('./commands/bans.ts')).listBans(options)))
bans
  .command('add')
  .description('ban a person, whose sessions end, or an address; an IPv6 address stands for its network of 64 bits')
  .argument('<name>', 'a user name or an address')
  .addOption(configOption())
  .option('--duration <duration>', 'how long, such as 1h, or permanent', '1 day')
  .option('--reason <text>', 'shown by list, and to nobody else')
  .action(async (name, options) => end(await (await import('./commands/bans.ts')).addBan(name, options)))
bans
  .command('revoke')
  .description('lift the ban of a person or an address, whoever brought it, and forget the failures')
  .argument('<name>', 'a user name or an address')
  .addOption(configOption())
  .action(async (name, options) => end(await (await import('./commands/bans.ts')).revokeBan(name, options)))

program
  .command('hash')
  .description('make the hash of a password for the users file; asks for it, or reads it from standard input')
  .action(async options => end(await (await import('./commands/hash.ts')).hash(options)))

program
  .command('migrate')
  .description('bring the tables of the storage up to date, as serve does at its start; or take changes back')
  .addOption(configOption())
  .option('--to <migration>', 'up or back to this one, given by its name or number; latest, or none')
  .option('--down', 'take the newest back')
  .option('--dry-run', 'tell what would be done, and change nothing')
  .action(async options => end(await (await import('./commands/migrate.ts')).migrate(options)))

program
  .command('change-encryption-key')
  .description(
    'encrypt what is secret in the records with another storage.encryption_key; asks for it, or reads it from standard input',
  )
  .addOption(configOption())
  .option('--new-key-file <file>', 'the file that holds the new key')
  .option('--key-is-lost', 'forget what only the former key opens, and begin with the one that is configured')
  .action(async options =>
    end(await (await import('./commands/change-encryption-key.ts')).changeEncryptionKey(options)),
  )

program
  .command('simulator')
  .description('run a Duo Auth API on this machine, for tests of any Duo client')
  .requiredOption('--port <port>', 'where its API listens (HTTPS)', port)
  .requiredOption('--integration-key <key>', 'the integration key that it knows')
  .option(
    '--secret-key <key>',
    'the secret key that goes with it; others cannot read it from POSTERN_SIMULATOR_SECRET_KEY',
  )
  .option('--ca <file>', 'write its CA certificate to this file')
  .addOption(new Option('--answer <answer>', 'answer every push by itself').choices(['allow', 'deny']))
  .option('--host <address>', 'listen here', '127.0.0.1')
  .option('--phone-port <port>', 'where the phone’s page listens (HTTP)', port)
  .action(async options => end(await (await import('./commands/simulator.ts')).simulator(options)))

program
  .command('demo')
  .description('run Postern, the Duo simulator with its phone and two sample apps behind a proxy on this machine')
  .option('--port <port>', 'the one port that everything is behind', port, 8080)
  .action(async options => end(await (await import('./commands/demo.ts')).demo(options)))

function end(code: number): void {
  process.exit(code)
}

await program.parseAsync()
