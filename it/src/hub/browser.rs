// SPDX-License-Identifier: Apache-2.0
//! A browser, as far as logins need one: it follows where it is sent, keeps cookies, and sends forms.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use super::http::{Ask, Reply};

/// How often it lets itself be sent on.
const MOST: usize = 20;

/// A browser. A clone of one has the same cookies, and goes its own way from there.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    /// By the address of who set them, then by their names.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

/// Where it got to.
#[derive(Debug, Clone)]
pub struct Page {
    /// The whole address.
    pub url: String,
    /// What was answered there.
    pub reply: Reply,
}

impl Browser {
    /// Opens an address, without being sent on.
    ///
    /// # Errors
    /// When nobody answers there.
    pub fn open(&mut self, url: &str) -> Result<Page> {
        self.send("GET", url, None)
    }

    /// Opens an address, and goes where it is sent until there is a page, or an address of which `stop` says so.
    ///
    /// # Errors
    /// When nobody answers, or it is sent on without end.
    pub fn follow_until(&mut self, url: &str, stop: impl Fn(&str) -> bool) -> Result<Page> {
        let mut page = self.open(url)?;
        for _ in 0..MOST {
            match page.leads_to() {
                Some(next) if stop(&next) => return Ok(Page { url: next, reply: page.reply }),
                Some(next) => page = self.open(&next)?,
                None => return Ok(page),
            }
        }
        bail!("it is sent on and on: {}", page.url)
    }

    /// The same until there is a page.
    ///
    /// # Errors
    /// When nobody answers, or it is sent on without end.
    pub fn follow(&mut self, url: &str) -> Result<Page> {
        self.follow_until(url, |_| false)
    }

    /// Sends the form of a page with what it has hidden, and with these fields besides.
    ///
    /// # Errors
    /// When there is no form, or nobody answers.
    pub fn submit(&mut self, page: &Page, fields: &[(&str, &str)]) -> Result<Page> {
        let text = page.reply.text();
        let action = attribute(&text, "<form", "action").with_context(|| format!("no form: {text}"))?;
        let mut pairs: Vec<(String, String)> = Vec::new();
        for input in text.split("<input").skip(1).filter(|input| input.contains("type=\"hidden\"")) {
            let value = |name| attribute(&format!("<input{input}"), "<input", name);
            pairs.extend(value("name").map(|name| (name, value("value").unwrap_or_default())));
        }
        pairs.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let form: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        self.send("POST", &absolute(&page.url, &action), Some(form.join("&")))
    }

    /// A cookie that somebody set.
    pub fn cookie(&self, url: &str, name: &str) -> Option<&str> {
        self.cookies.get(host(url))?.get(name).map(String::as_str)
    }

    fn send(&mut self, method: &str, url: &str, form: Option<String>) -> Result<Page> {
        let host = host(url).to_owned();
        let path = url.split_once("://").map_or(url, |(_, rest)| rest);
        let path = path.find('/').map_or("/", |at| &path[at..]);
        let address = host.parse().with_context(|| format!("`{url}` is not on this machine"))?;
        let mut ask = Ask::to(address, method, path);
        let jar = self.cookies.entry(host).or_default();
        if !jar.is_empty() {
            let shown: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            ask = ask.header("Cookie", &shown.join("; "));
        }
        let reply = match form {
            Some(form) => ask
                .header("Content-Type", "application/x-www-form-urlencoded")
                .header("Sec-Fetch-Site", "same-origin")
                .body(form)
                .send()?,
            None => ask.send()?,
        };
        for (_, set) in reply.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) =
                set.split(';').next().and_then(|pair| pair.split_once('=')).context("no cookie")?;
            if value.is_empty() {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(Page { url: url.to_owned(), reply })
    }
}

impl Page {
    /// The whole address that it leads to, where it is no page but sends on.
    pub fn leads_to(&self) -> Option<String> {
        let is_sent = (300..400).contains(&self.reply.status);
        is_sent.then(|| self.reply.header("location")).flatten().map(|next| absolute(&self.url, next))
    }
}

/// What stands between `://` and the path.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

fn absolute(base: &str, link: &str) -> String {
    if link.contains("://") { link.to_owned() } else { format!("http://{}{link}", host(base)) }
}

/// An attribute of the first such tag, as it was before it was written into a page.
fn attribute(text: &str, tag: &str, name: &str) -> Option<String> {
    let tag = text[text.find(tag)?..].split('>').next()?;
    let value = tag.split_once(&format!(" {name}=\""))?.1.split('"').next()?;
    let plain = [("&#38;", "&"), ("&amp;", "&"), ("&#34;", "\""), ("&#39;", "'"), ("&quot;", "\"")];
    Some(plain.iter().fold(value.to_owned(), |text, (from, to)| text.replace(from, to)))
}

/// A text as it stands in forms and addresses.
pub fn escaped(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(byte).collect()
}
