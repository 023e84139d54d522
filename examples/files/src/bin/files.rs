//! Reads a folder that is served: `files ADDRESS ls|stat|cat [PATH]`.

use std::error::Error;
use std::io;

use posthaste_files::files::files_v1::Client;
use posthaste_files::files::{Attributes, Kind, Page, Problem};
use posthaste_rpc::{Caller, StartCaller};
use posthaste_std::{Config, Pending};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: files ADDRESS ls|stat|cat [PATH]";
    let [address, command, path @ ..] = arguments.as_slice() else { return Err(usage.into()) };
    // The folder itself has the empty path here, and a slash in front for whoever is used to one.
    let path = path.first().map_or("", String::as_str).trim_matches('/');
    let client = Client::new(posthaste_std::Client::connect_insecure(address.as_str(), Config::lan())?);
    match command.as_str() {
        "ls" => list(&client, path),
        "stat" => stat(&client, path),
        "cat" => cat(&client, path),
        _ => Err(usage.into()),
    }
}

fn list(client: &Client<impl Caller>, path: &str) -> Result<(), Box<dyn Error>> {
    let mut after = Vec::new();
    loop {
        let page: Result<Page, Problem> = client.list(path, after.as_slice())?.into();
        let page = page.map_err(what)?;
        for entry in &page.entries {
            print(&entry.attributes, &entry.name.to_string_lossy());
        }
        match page.entries.last() {
            Some(last) if !page.is_last => after = last.name.as_octets().to_vec(),
            _ => return Ok(()),
        }
    }
}

fn stat(client: &Client<impl Caller>, path: &str) -> Result<(), Box<dyn Error>> {
    let found: Result<Attributes, Problem> = client.lookup(path)?.into();
    print(&found.map_err(what)?, path);
    Ok(())
}

fn cat(client: &Client<impl StartCaller<Started = Pending>>, path: &str) -> Result<(), Box<dyn Error>> {
    let mut fetch = client.fetch(path)?;
    let mut stream = fetch.take_downward().expect("it is taken once");
    let copied = io::copy(&mut stream, &mut io::stdout().lock());
    // It knows why the stream broke, if it did.
    let sent: Result<u64, Problem> = fetch.wait()?.into();
    sent.map_err(what)?;
    copied?;
    Ok(())
}

fn print(attributes: &Attributes, name: &str) {
    let kind = match attributes.kind {
        Kind::File => '-',
        Kind::Folder => 'd',
    };
    // A name could otherwise tell the terminal what to do.
    let name: String = name.chars().map(|char| if char.is_control() { '?' } else { char }).collect();
    println!("{kind} {:>12} {:>12} {name}", attributes.len, attributes.modified);
}

fn what(problem: Problem) -> &'static str {
    match problem {
        Problem::NotFound => "there is no such file or folder",
        Problem::BadPath => "that is no path",
        Problem::NotAFile => "that is no file",
        Problem::NotAFolder => "that is no folder",
        Problem::Denied => "the server may not read that",
        Problem::Failed => "the server could not read that",
    }
}
