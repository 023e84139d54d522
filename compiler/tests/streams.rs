//! Streams beside calls of generated stubs, over real sockets.

mod files {
    include!("../fixtures/streams.rs");
}

use std::io::{Read, Write};

use files::files_v1::{self, AsyncClient, Client, LOWER, Service};
use posthaste_rpc::xdr::XdrStr;
use posthaste_rpc::{Call, CallError, Failure, NotExecuted};
use posthaste_std::{Config, Rpc, Server};
use smol::io::{AsyncReadExt, AsyncWriteExt};

struct Files;

impl files_v1::Server for Files {
    fn upload(&self, call: &dyn Call, _: XdrStr<'_>) -> Result<u64, Failure> {
        let mut upward = call.take_upward().ok_or(Failure::BadArguments)?;
        let mut octets = Vec::new();
        upward.read_to_end(&mut octets).map_err(|_| "cut short")?;
        Ok(octets.len() as u64)
    }

    fn download(&self, call: &dyn Call, name: XdrStr<'_>) -> Result<u64, Failure> {
        let mut downward = call.take_downward().ok_or(Failure::BadArguments)?;
        let octets = name.0.repeat(1000);
        downward.write_all(&octets).map_err(|_| "not wanted")?;
        downward.finish().map_err(|_| "not wanted")?;
        Ok(octets.len() as u64)
    }

    fn lower(&self, call: &dyn Call) -> Result<(), Failure> {
        let (Some(mut upward), Some(mut downward)) = (call.take_upward(), call.take_downward()) else {
            return Err(Failure::BadArguments);
        };
        let mut octets = [0; 1000];
        loop {
            let len = upward.read(&mut octets).map_err(|_| "cut short")?;
            if len == 0 {
                return downward.finish().map_err(|_| "not wanted".into());
            }
            octets[..len].make_ascii_lowercase();
            downward.write_all(&octets[..len]).map_err(|_| "not wanted")?;
        }
    }
}

impl files_v1::AsyncServer for Files {
    async fn upload(&self, call: &dyn Call, _: XdrStr<'_>) -> Result<u64, Failure> {
        let mut upward = call.take_async_upward().ok_or(Failure::BadArguments)?;
        let mut octets = Vec::new();
        upward.read_to_end(&mut octets).await.map_err(|_| "cut short")?;
        Ok(octets.len() as u64)
    }

    async fn download(&self, call: &dyn Call, name: XdrStr<'_>) -> Result<u64, Failure> {
        let mut downward = call.take_async_downward().ok_or(Failure::BadArguments)?;
        let octets = name.0.repeat(1000);
        downward.write_all(&octets).await.map_err(|_| "not wanted")?;
        downward.close().await.map_err(|_| "not wanted")?;
        Ok(octets.len() as u64)
    }

    async fn lower(&self, _: &dyn Call) -> Result<(), Failure> {
        Err("not here".into())
    }
}

#[test]
fn a_blocking_client_writes_and_reads_beside_its_calls() {
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Rpc(Service(Files))).unwrap();
    let client = Client::new(posthaste_std::Client::connect_insecure(server.local_addr(), Config::lan()).unwrap());

    let mut upload = client.upload("a").unwrap();
    let mut upward = upload.take_upward().unwrap();
    upward.write_all(&[7; 100_000]).unwrap();
    upward.finish().unwrap();
    assert_eq!(upload.wait().unwrap(), 100_000);

    let mut download = client.download("abc").unwrap();
    let mut octets = Vec::new();
    download.take_downward().unwrap().read_to_end(&mut octets).unwrap();
    assert_eq!(octets, b"abc".repeat(1000));
    assert_eq!(download.wait().unwrap(), 3000);

    let mut lower = client.lower().unwrap();
    let (mut upward, mut downward) = (lower.take_upward().unwrap(), lower.take_downward().unwrap());
    let mut echoed = [0; 5];
    for text in [b"Hello", b"WORLD"] {
        upward.write_all(text).unwrap();
        downward.read_exact(&mut echoed).unwrap();
        assert_eq!(echoed, text.to_ascii_lowercase()[..]);
    }
    upward.finish().unwrap();
    lower.wait().unwrap();

    // Whoever calls without the streams is told that these arguments are not all that it takes.
    let plain = posthaste_rpc::stub::Stub::new(
        posthaste_std::Client::connect_insecure(server.local_addr(), Config::lan()).unwrap(),
    );
    assert!(matches!(plain.call(&LOWER, &()), Err(CallError::NotExecuted(NotExecuted::BadArguments))));
}

#[test]
fn an_async_client_writes_and_reads_beside_its_calls() {
    let server = posthaste_smol::Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
    let client =
        AsyncClient::new(posthaste_smol::Client::connect_insecure(server.local_addr(), Config::lan()).unwrap());
    let service = Service(Files);
    let serving = async { panic!("{}", server.serve_rpc(4, &service).await) };
    let calling = async {
        let mut upload = client.upload("a").await.unwrap();
        let mut upward = upload.take_upward().unwrap();
        upward.write_all(&[7; 100_000]).await.unwrap();
        upward.close().await.unwrap();
        assert_eq!(upload.finish().await.unwrap(), 100_000);

        let mut download = client.download("abc").await.unwrap();
        let mut octets = Vec::new();
        download.take_downward().unwrap().read_to_end(&mut octets).await.unwrap();
        assert_eq!(octets, b"abc".repeat(1000));
        assert_eq!(download.finish().await.unwrap(), 3000);

        let lower = client.lower().await.unwrap();
        assert!(matches!(lower.finish().await, Err(CallError::Application(_))));
    };
    smol::block_on(smol::future::or(calling, serving));
}
