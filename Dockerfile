# Postern on the current Node LTS. Build: docker build -t postern . How to run it: docs/docker.md

FROM node:26-bookworm-slim AS build
WORKDIR /app
# No install scripts: argon2 ships its binaries, and the npm package `node` would only bring a second Node.
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY scripts scripts
COPY src src
RUN npm run build

FROM node:26-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# The last line proves that the binary of argon2 fits this base: it would otherwise fail at the first login.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && find node_modules -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -name '*.map' | xargs rm -f \
  && node -e "require('argon2').hash('x').then(hash => process.exit(hash.startsWith('\$argon2id') ? 0 : 1))"

FROM node:26-bookworm-slim
LABEL org.opencontainers.image.title="Postern" \
      org.opencontainers.image.description="Forward-auth server for people with Duo" \
      org.opencontainers.image.licenses="Apache-2.0"
# A process of the same user may not open the inspector (SIGUSR1), and a diagnostic report never shows the environment.
ENV NODE_ENV=production \
    NODE_OPTIONS="--disable-sigusr1 --report-exclude-env"
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/dist dist
# /data holds the state and is the only place that is written; a new volume takes its owner from here.
RUN install -d -o node -g node -m 700 /data
VOLUME /data
USER node
EXPOSE 9091
# The port of server.address; whoever changes it changes this too (healthcheck in the compose file).
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9091/api/health').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
# `docker run … postern hash` and the other commands work as they stand; Postern itself is process 1 and handles the signals.
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["serve", "--config", "/config/configuration.yml"]
