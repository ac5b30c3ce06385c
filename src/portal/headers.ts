/** The policy of every page. No inline style or script, nothing from elsewhere, in no frame. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ')

/** On every answer of the portal, redirects and errors included. */
export const portalHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': contentSecurityPolicy,
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()',
} as const

/** For a page of ours that stands on an application's host: only its stylesheet and icon come, from the portal. No script, no form. */
export function foreignPageHeaders(portalOrigin: string) {
  return {
    'cache-control': 'no-store',
    'content-security-policy': `default-src 'none'; style-src ${portalOrigin}; img-src ${portalOrigin}; form-action 'none'; base-uri 'none'; frame-ancestors 'none'`,
    'referrer-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  } as const
}
