//! Where credentials come from: the SDK's own providers in the SDK's own order, with two differences. Keys
//! that stand in a profile file are read again after a while, as Kubernetes changes a mounted Secret under
//! a running process (the SDK reads the file once); and it is remembered who gave them.

use super::S3Options;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result, future};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_s3::config::{Region, SharedHttpClient};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

/// The chain of providers. Clones are one.
#[derive(Clone)]
pub(super) struct Credentials {
    inner: Arc<Inner>,
}

struct Inner {
    http: SharedHttpClient,
    /// For what only this machine can ask: no proxy stands before it.
    direct: SharedHttpClient,
    file: Option<PathBuf>,
    reread: Duration,
    margin: Duration,
    region: OnceLock<Option<Region>>,
    /// Those that find out for themselves when to ask again.
    lasting: OnceLock<Vec<(&'static str, Box<dyn ProvideCredentials>)>>,
    source: Mutex<Option<&'static str>>,
}

/// Nothing of what is inside: an HTTP client, and providers that could hold keys.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source();
        f.debug_struct("Credentials")
            .field("source", &source)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    pub fn new(
        http: SharedHttpClient,
        direct: SharedHttpClient,
        options: &S3Options,
    ) -> Credentials {
        Credentials {
            inner: Arc::new(Inner {
                http,
                direct,
                file: options.credentials_file.clone(),
                reread: options.reread_keys,
                margin: Credentials::margin(options),
                region: OnceLock::new(),
                lasting: OnceLock::new(),
                source: Mutex::new(None),
            }),
        }
    }

    /// How long before their end credentials are no longer used.
    pub fn margin(options: &S3Options) -> Duration {
        options.reread_keys.min(Duration::from_secs(10))
    }

    /// Needed to exchange a web identity for keys; known only once the configuration is loaded.
    pub fn set_region(&self, region: Option<Region>) {
        let _ = self.inner.region.set(region);
    }

    /// Who gave the credentials that are in use.
    pub fn source(&self) -> Option<&'static str> {
        *self
            .inner
            .source
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self) -> ProviderConfig {
        ProviderConfig::without_region()
            .with_region(self.inner.region.get().cloned().flatten())
            .with_http_client(self.inner.http.clone())
    }

    fn lasting(&self) -> &[(&'static str, Box<dyn ProvideCredentials>)] {
        self.inner.lasting.get_or_init(|| {
            let config = self.config();
            let web = WebIdentityTokenCredentialsProvider::builder().configure(&config);
            let direct = config.with_http_client(self.inner.direct.clone());
            let container = EcsCredentialsProvider::builder().configure(&direct);
            let instance = ImdsCredentialsProvider::builder().configure(&direct);
            vec![
                ("web identity (IRSA)", Box::new(web.build())),
                ("pod identity or container", Box::new(container.build())),
                ("instance metadata", Box::new(instance.build())),
            ]
        })
    }

    /// Reads the files anew each time: nothing of the SDK's cache survives.
    async fn profile(&self) -> Result {
        let mut builder = ProfileFileCredentialsProvider::builder().configure(&self.config());
        if let Some(path) = &self.inner.file {
            let files = EnvConfigFiles::builder().with_file(EnvConfigFileKind::Credentials, path);
            builder = builder.profile_files(files.build());
        }
        let mut found = builder.build().provide_credentials().await?;
        if found.expiry().is_none() {
            // An end of our own, so that the identity cache asks again.
            let soon = self.inner.reread + self.inner.margin;
            *found.expiry_mut() = SystemTime::now().checked_add(soon);
        }
        Ok(found)
    }

    async fn find(&self) -> Result {
        if self.inner.file.is_some() {
            return self.note("the credentials file", self.profile().await);
        }
        let environment = EnvironmentVariableCredentialsProvider::new();
        match environment.provide_credentials().await {
            Err(CredentialsError::CredentialsNotLoaded(_)) => {}
            other => return self.note("environment variables", other),
        }
        match self.profile().await {
            Err(CredentialsError::CredentialsNotLoaded(_)) => {}
            other => return self.note("profile files", other),
        }
        for (name, provider) in self.lasting() {
            match provider.provide_credentials().await {
                Err(CredentialsError::CredentialsNotLoaded(_)) => {}
                other => return self.note(name, other),
            }
        }
        Err(CredentialsError::not_loaded("no provider has any"))
    }

    fn note(&self, name: &'static str, found: Result) -> Result {
        let source = &self.inner.source;
        *source.lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
        found
    }
}

impl ProvideCredentials for Credentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.find())
    }

    /// Where a provider is out of reach for a moment, what it gave last.
    fn fallback_on_interrupt(&self) -> Option<aws_credential_types::Credentials> {
        let providers = self.inner.lasting.get()?;
        providers
            .iter()
            .find_map(|(_, p)| p.fallback_on_interrupt())
    }
}
