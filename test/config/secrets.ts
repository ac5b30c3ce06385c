/** What an administrator gives by environment: with these, config.template.yml is valid. */
export const secrets = {
  POSTERN_SESSION_SECRET: '0f6d1c7ab0e94f5f8a3b2c1d4e5f60718293a4b5c6d7e8f9',
  POSTERN_STORAGE_ENCRYPTION_KEY: 'q8Zr2mT5vX7bN1kL4jH6gF9dS3aP0oIuYtReWq',
  POSTERN_DUO_API_INTEGRATION_KEY: 'DIABCDEFGHIJ01234567',
  POSTERN_DUO_API_SECRET_KEY: 'aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789abcd',
}
