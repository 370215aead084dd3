//! What the loader knows of an instance (`world.json`) and keeps for it: the logins that it made, in
//! `secrets/examples.json`, 0600. Passwords are random for each instance and written before they are used, so that a
//! run that was interrupted goes on where it stopped.

use crate::{Failure, contexts, host, http::Api, session, text};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// `world.json`; it has more than this.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct World {
    gateway_url: String,
    secrets_dir: PathBuf,
    operator: Login,
}

/// Who signs in.
#[derive(Clone, Debug, Deserialize)]
struct Login {
    email: String,
    password: String,
}

impl World {
    /// Reads the file.
    ///
    /// # Errors
    /// Where it is not there or not what `make up` writes.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read(path)
            .map_err(|error| Failure::usage(format!("--world {}: {error}. `make up` writes it.", path.display())))?;
        serde_json::from_slice(&text).map_err(|error| Failure::usage(format!("--world {}: {error}", path.display())))
    }
    /// Where a tenant is served.
    ///
    /// # Errors
    /// Where the gateway's URL is none.
    pub(crate) fn tenant_url(&self, slug: &str) -> Result<Url, Failure> {
        host::tenant_url(&self.gateway_url, Some(slug))
    }
    /// The API without credentials.
    ///
    /// # Errors
    /// As [`Api::new`].
    pub(crate) fn anonymous(&self, slug: &str) -> Result<Api, Failure> {
        Api::new(self.tenant_url(slug)?)
    }
    /// The API as a member.
    ///
    /// # Errors
    /// What the server said.
    pub(crate) async fn member_api(&self, slug: &str, email: &str, password: &str) -> Result<Api, Failure> {
        let api = self.anonymous(slug)?;
        let (token, _) = session::sign_in(&api, email, password).await?;
        Ok(api.signed_in(token, None))
    }
    /// The API as the operator.
    ///
    /// # Errors
    /// What the server said.
    pub(crate) async fn operator_api(&self) -> Result<Api, Failure> {
        let api = self
            .member_api("operator", &self.operator.email, &self.operator.password)
            .await;
        api.map_err(|failure| failure.during("the operator cannot sign in"))
    }
}

/// The file of logins.
#[derive(Debug)]
pub(crate) struct Logins {
    path: PathBuf,
    content: Content,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    tenants: Vec<TenantLogins>,
}

/// The logins of one tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TenantLogins {
    /// Which tenant.
    pub(crate) slug: String,
    /// With which its creation was asked for: asking again answers with the same operation.
    #[serde(default)]
    pub(crate) request_id: String,
    /// The operation that makes or made it; its response has the first owner's link. Empty while that is not known.
    #[serde(default)]
    pub(crate) operation: String,
    /// In the order of the declaration, the first owner first.
    pub(crate) members: Vec<MemberLogin>,
}

/// One login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MemberLogin {
    /// E-mail.
    pub(crate) email: String,
    /// Password.
    pub(crate) password: String,
    /// `owner`, `admin`, `member` or `viewer`.
    pub(crate) role: String,
}

impl Logins {
    /// Opens the file of an instance. A link beside `world.json` points to it, where the printed commands look.
    ///
    /// # Errors
    /// Where it cannot be read or made.
    pub(crate) fn open(world: &World) -> Result<Self, Failure> {
        let path = world.secrets_dir.join("examples.json");
        let content = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| Failure::other(format!("{}: {error}", path.display())))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Content::default(),
            Err(error) => return Err(Failure::other(format!("{}: {error}", path.display()))),
        };
        Ok(Self { path, content })
    }
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
    /// The logins of a tenant.
    pub(crate) fn of(&self, slug: &str) -> Option<&TenantLogins> {
        self.content.tenants.iter().find(|tenant| tenant.slug == slug)
    }
    /// Starts a tenant over: it is about to be made anew.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub(crate) fn begin(&mut self, slug: &str, request_id: &str) -> Result<(), Failure> {
        self.content.tenants.retain(|tenant| tenant.slug != slug);
        self.content.tenants.push(TenantLogins {
            slug: slug.to_owned(),
            request_id: request_id.to_owned(),
            operation: String::new(),
            members: Vec::new(),
        });
        self.content.tenants.sort_by(|a, b| a.slug.cmp(&b.slug));
        self.save()
    }
    /// Notes the operation that makes it.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub(crate) fn begun(&mut self, slug: &str, operation: &str) -> Result<(), Failure> {
        for tenant in self.content.tenants.iter_mut().filter(|tenant| tenant.slug == slug) {
            operation.clone_into(&mut tenant.operation);
        }
        self.save()
    }
    /// The password of a member; made and written down if there is none.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub(crate) fn password(&mut self, slug: &str, email: &str, role: &str) -> Result<String, Failure> {
        let tenant = self.content.tenants.iter_mut().find(|tenant| tenant.slug == slug);
        let tenant = tenant.ok_or_else(|| Failure::other(format!("{slug} was not begun")))?;
        if let Some(member) = tenant.members.iter().find(|member| member.email == email) {
            return Ok(member.password.clone());
        }
        let password = text::password()?;
        tenant.members.push(MemberLogin {
            email: email.to_owned(),
            password: password.clone(),
            role: role.to_owned(),
        });
        self.save()?;
        Ok(password)
    }

    fn save(&self) -> Result<(), Failure> {
        contexts::write_private(&self.path, &serde_json::to_vec_pretty(&self.content)?)?;
        let link = self
            .path
            .parent()
            .and_then(Path::parent)
            .map(|instance| instance.join("examples.json"));
        match link.map(|link| std::os::unix::fs::symlink("secrets/examples.json", link)) {
            Some(Err(error)) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
            _ => Ok(()),
        }
    }
}
