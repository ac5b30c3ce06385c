interface Entry {
  /** One line, for an administrator. */
  readonly title: string
  /** What to do, for an administrator. */
  readonly mend: string
}

/**
 * Everything that an administrator can get wrong, once. `check`, the log, the portal's reference block and docs/problems.md read
 * this entry. Keys are the *reason* slugs that a person sees.
 */
export const problems = {
  'no-second-factor': {
    title: 'No second factor is configured, though a rule wants two_factor',
    mend: 'Configure duo_api, or change the rule.',
  },
  'duo-no-user': {
    title: 'Duo does not know this user (no compatible device found)',
    mend: 'In Duo, add the user with this name, or add the name as an alias of an existing user. The account that administers Duo is not a user by itself.',
  },
  'duo-no-device': {
    title: 'The user has no phone or token in Duo',
    mend: 'Add a phone to the user in Duo and activate Duo Mobile on it.',
  },
  'duo-not-activated': {
    title: 'The user’s phone is not activated for push',
    mend: 'In Duo, send an activation link to the phone.',
  },
  'duo-factors': {
    title: 'Duo offers this user no factor that duo_api.factors allows',
    mend: 'Add a factor to duo_api.factors, or give the user another device in Duo.',
  },
  'duo-name-empty': {
    title: 'duo_api.username makes no name for this user that Duo could have',
    mend: 'Give the user a mail address in the users file, or change duo_api.username.',
  },
  'duo-name-shared': {
    title: 'duo_api.username makes the same name for two users',
    mend: 'Change duo_api.username, or the names or mail addresses in the users file: one person’s phone must not answer for another.',
  },
  'duo-enroll': {
    title: 'Duo does not know this user, or knows no device (no compatible device found)',
    mend: 'In Duo, add the user with this name and a phone, or add the name as an alias of an existing user; or switch on duo_api.enable_self_enrollment. The account that administers Duo is not a user by itself.',
  },
  'duo-disabled': {
    title: 'Duo denies this user',
    mend: 'In the Duo Admin Panel, look at the user’s status and at the policies of the application.',
  },
  'duo-locked': {
    title: 'Duo has locked this user',
    mend: 'In the Duo Admin Panel, open the user and set the status back to Active.',
  },
  'duo-allow': {
    title: 'Duo lets this user pass without a factor',
    mend: 'In Duo, look at the user’s status (Bypass) and at the policies of the application: new users, trusted networks, remembered devices. A rule with factors does not accept it.',
  },
  'duo-not-asked': {
    title: 'A rule wants a factor that Duo asked for, and Duo let the user pass without one',
    mend: 'In Duo, look at the user’s status (Bypass) and at the policies of the application: new users, trusted networks, remembered devices; or take factors off the rule.',
  },
  'duo-signature': {
    title: 'Duo refused the signature (40103)',
    mend: 'The secret key does not belong to the integration key, or it was rotated: copy it again from the application’s page in Duo.',
  },
  'duo-ikey': {
    title: 'Duo does not know the integration key (40102)',
    mend: 'Copy the integration key again; the application may have been deleted.',
  },
  'duo-application': {
    title: 'The keys belong to another type of Duo application (40301)',
    mend: 'In Duo, protect a “Partner Auth API” application and use its keys.',
  },
  'duo-client-too-old': { title: 'Duo refuses this client as deprecated (40301)', mend: 'Upgrade Postern.' },
  'duo-clock': { title: 'This machine’s clock is wrong (40105)', mend: 'Turn on time synchronisation on the server.' },
  'clock-off': {
    title: 'This machine’s clock differs from Duo’s',
    mend: 'Turn on time synchronisation on the server. Until then calls to Duo are dated by Duo’s clock.',
  },
  'duo-dns': {
    title: 'Duo’s host name cannot be looked up',
    mend: 'Check duo_api.hostname and the name server of this machine.',
  },
  'duo-local': {
    title: 'Duo’s host name leads to this machine',
    mend: 'Something has bent the name: look at /etc/hosts and at the name server of this machine. Whoever answers there cannot pass for Duo, but nobody gets past two_factor.',
  },
  'duo-unreachable': {
    title: 'Duo cannot be reached',
    mend: 'Allow outgoing TCP to duo_api.hostname, port 443 unless it names another.',
  },
  'duo-timeout': {
    title: 'Duo did not answer in time',
    mend: 'Check the network path to duo_api.hostname; status.duo.com tells of outages.',
  },
  'duo-tls': {
    title: 'Duo’s certificate is not trusted',
    mend: 'Something between this machine and Duo intercepts TLS: exempt duo_api.hostname, or give its CA as duo_api.ca_file.',
  },
  'duo-proxy': {
    title: 'The proxy on the way to Duo does not let Postern through',
    mend: 'Check duo_api.proxy, or HTTPS_PROXY and NO_PROXY of the environment: address, user name and password, and that CONNECT to duo_api.hostname is allowed, on port 443 unless it names another.',
  },
  'duo-malformed': {
    title: 'Duo’s answer is not one of Duo’s',
    mend: 'A proxy or a captive portal may answer in Duo’s place; check the path to duo_api.hostname.',
  },
  'duo-server-error': { title: 'Duo answered with a server error', mend: 'Wait; status.duo.com tells of outages.' },
  'duo-throttled': {
    title: 'Duo answered “too many requests”',
    mend: 'Wait a minute. If it stays so, something sends many requests with these keys.',
  },
  'duo-refused': { title: 'Duo refused the request', mend: 'The log holds Duo’s code and words under the reference.' },
  'gate-untrusted-peer': {
    title: 'The peer that sent forwarded headers is not a trusted proxy',
    mend: 'Add the proxy’s address to server.trusted_proxies.',
  },
  'gate-headers': {
    title: 'A header that the proxy must send is missing, doubled or malformed',
    mend: 'Use the proxy file from deploy/.',
  },
  'gate-method': { title: 'The method of the judged request is malformed', mend: 'Use the proxy file from deploy/.' },
  'gate-scheme': {
    title: 'The request came as http, or the proxy said so',
    mend: 'Serve the site over https; where TLS ends one hop before, make the proxy forward the original scheme.',
  },
  'gate-domain': {
    title: 'The host is outside every cookie domain',
    mend: 'Add an entry for its domain to session.cookies.',
  },
  'gate-portal': {
    title: 'The portal itself is behind the gate, so that signing in would go round in a circle',
    mend: 'Let the proxy serve the portal’s host without asking the gate.',
  },
  'gate-loop': {
    title: 'A site sends people back to the portal, which finds that they may open it',
    mend: 'The gate sees them otherwise than the portal does: look at whether that site’s proxy passes the session cookie on, at the address it gives for the client (rules with networks), and at the clocks where several Posterns run.',
  },
  'gate-url': { title: 'The URL cannot be parsed', mend: 'Nothing: a browser does not send it.' },
  'proxies-wide': {
    title: 'Many addresses are trusted as a proxy',
    mend: 'Name the proxy’s own address in server.trusted_proxies: whoever sends from a trusted one chooses which URL is judged, and for which address.',
  },
  'store-down': {
    title: 'The session store does not answer',
    mend: 'The log has the cause under the reference; check storage.local.path and the disk.',
  },
  'store-older': {
    title: 'The store is an older copy that was brought back',
    mend: 'The server ends all sessions and remembered browsers in it, since some of them may have been ended before: people sign in again. What else it holds is of that time too: look at postern bans list.',
  },
  'store-alone': {
    title: 'The storage file came without its -mark file, which tells whether it is an older copy',
    mend: 'The server ends all sessions and remembered browsers in it: people sign in again. When you move the storage file, move all files whose names begin as its name does, while Postern is stopped.',
  },
  'store-mark': {
    title: 'It cannot be noted when the store of sessions was in use last',
    mend: 'An older copy that is brought back would not be noticed: see that there is room in the folder of the storage file and that Postern may write there, or that the records can be written. Postern tries again every minute.',
  },
  'session-secrets': {
    title: 'Several Posterns use one store of sessions with different secrets',
    mend: 'Give all of them the same session.secret: nobody who signed in at one of them is known to the others.',
  },
  'directory-down': {
    title: 'The directory does not answer',
    mend: 'Check authentication_backend.ldap.address, and that the directory runs; the log has the cause under the reference.',
  },
  'directory-denied': {
    title: 'The directory refuses Postern’s own account',
    mend: 'Check authentication_backend.ldap.user and its password, and that it may read people and groups.',
  },
  'directory-tls': {
    title: 'There is no trusted connection to the directory',
    mend: 'Its certificate must be of a CA that this machine or authentication_backend.ldap.tls.ca_file trusts, and for the host in address or tls.server_name. Where the directory demands encryption, use ldaps:// or start_tls.',
  },
  'directory-base': {
    title: 'The directory has nothing at the place where people or groups are looked for',
    mend: 'Check authentication_backend.ldap.base_dn, additional_users_dn and additional_groups_dn; Postern’s account must be allowed to see them. Referrals are not followed: give the server that has the people.',
  },
  'directory-entry': {
    title: 'The directory answers one person’s sign-in with neither yes nor no',
    mend: 'That person alone cannot sign in: look at their entry in the directory, for a referral above all; the log has what the directory said. Referrals are not followed.',
  },
  'records-down': {
    title: 'The records cannot be reached or written',
    mend: 'Start PostgreSQL or correct storage.postgres; where they are in a file, look at its disk. The log has the cause under the reference. Postern tries again by itself.',
  },
  'storage-folder': {
    title: 'The folder of the storage file is missing',
    mend: 'Create it, writable for the user that Postern runs as, or correct storage.local.path.',
  },
  'storage-denied': {
    title: 'The storage file cannot be opened',
    mend: 'Make storage.local.path and its folder writable for the user that Postern runs as; look at the space left on the disk.',
  },
  'storage-unwritable': {
    title: 'The storage file cannot be written',
    mend: 'Its disk is full (df), its file system became read-only after an error (dmesg), or the file is write-protected (lsattr). Postern writes again by itself once it can; to check a file system, stop Postern first. Until then people stay signed in, and nobody signs in or out.',
  },
  'storage-broken': {
    title: 'The storage file is damaged',
    mend: 'Restore it from a backup. To begin anew, move it away together with its -wal and -shm files: everybody signs in again.',
  },
  'storage-moved': {
    title: 'The storage file was deleted or moved away under the running server',
    mend: 'Move it back together with its -wal and -shm files, and it goes on; or restore it from a backup and restart Postern. Until then people stay signed in, and nobody signs in or out.',
  },
  'storage-overwritten': {
    title: 'An older copy was written over the storage file while Postern used it',
    mend: 'Restart Postern: it takes the copy then, and ends all sessions in it. Until then nobody signs in, and nobody is let in by a session. Stop it first the next time.',
  },
  'storage-wal': {
    title: 'The storage file is an older copy, and a -wal is beside it that may not be its own',
    mend: 'Bring the copy back once more, with no -wal and -shm files beside it. Where it was backed up together with them, bring back all three and let SQLite join them: sqlite3 FILE "PRAGMA wal_checkpoint(TRUNCATE)".',
  },
  'storage-authelia': {
    title: 'The storage file is Authelia’s',
    mend: 'Give Postern a file of its own: change storage.local.path. Authelia’s file was not touched.',
  },
  'storage-foreign': {
    title: 'The storage file belongs to another program',
    mend: 'Give Postern a file of its own: change storage.local.path.',
  },
  'storage-newer': {
    title: 'The storage was written by a newer Postern',
    mend: 'Run the newer version again, or take its changes back with it first (postern migrate --to): docs/upgrading.md.',
  },
  'storage-key': {
    title: 'storage.encryption_key is not the one that the records were written with',
    mend: 'Give the former key again, or the one that postern change-encryption-key put in its place: docs/storage.md.',
  },
  'storage-postgres': {
    title: 'PostgreSQL does not answer',
    mend: 'Start it, or correct storage.postgres.address; look at what is between here and there, such as a firewall or a network of Docker.',
  },
  'storage-postgres-login': {
    title: 'PostgreSQL refuses Postern',
    mend: 'Correct username, password and database in storage.postgres; look at pg_hba.conf, and at how many connections it has left.',
  },
  'storage-postgres-tls': {
    title: 'The connection to PostgreSQL cannot be secured',
    mend: 'Switch TLS on in PostgreSQL; give the certificate of its CA as storage.postgres.tls.ca_file, and the name in its certificate as storage.postgres.tls.server_name. Take tls out only where nobody is between here and there.',
  },
  'storage-postgres-rights': {
    title: 'PostgreSQL lets Postern make no tables',
    mend: 'Create the schema for the user of storage.postgres, as docs/postgres.md has it.',
  },
  'storage-postgres-read-only': {
    title: 'This PostgreSQL is a standby, which cannot be written',
    mend: 'Give the address of the primary in storage.postgres.address, or one that always leads to it.',
  },
  'redis-down': {
    title: 'Redis does not answer',
    mend: 'Start it, or correct session.redis; docs/redis.md says what goes on meanwhile. Postern tries again by itself.',
  },
  'redis-denied': {
    title: 'Redis refuses Postern',
    mend: 'Correct session.redis.username and password, or give the user the permissions of docs/redis.md.',
  },
  'redis-tls': {
    title: 'The certificate of Redis does not verify',
    mend: 'Give the certificate of its CA as session.redis.tls.ca_file, and the name in its certificate as session.redis.tls.server_name; or take tls out where Redis speaks none.',
  },
  'redis-full': {
    title: 'Redis takes no writes: it is full, its disk is, or it has too few replicas',
    mend: 'Give it more memory (maxmemory) or disk, and look at what else uses it. Who is signed in stays in and can sign out; nobody can sign in.',
  },
  'redis-read-only': {
    title: 'This Redis is a replica, which cannot be written',
    mend: 'Give the address of the primary in session.redis, or its Sentinels. While a new primary is being chosen this passes by itself.',
  },
  'redis-config': {
    title: 'session.redis does not fit this Redis',
    mend: 'Correct it: docs/redis.md has an example for each kind.',
  },
  'redis-evicts': {
    title: 'Redis may throw sessions, bans and pushes away when its memory is full',
    mend: 'Set maxmemory-policy to noeviction, or give Postern a Redis of its own.',
  },
} as const satisfies Record<string, Entry>

/** A reason slug: stable, shown to a person, written to the log. */
export type Reason = keyof typeof problems

export const isReason = (text: string): text is Reason => Object.hasOwn(problems, text)
