// SPDX-License-Identifier: Apache-2.0
//! A user program in Rust that uses its maps by bindings, and tells what it finds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread::sleep;
use std::time::Duration;

mod maps;

use maps::*;

fn literal() -> EverythingValue {
    let mut either = EverythingValueEither::default();
    either.set_parts(EverythingValueEitherParts { x: 2, y: 3 });
    EverythingValue {
        u8: 200,
        s8: -100,
        u16: 60000,
        s16: -30000,
        u32: 4_000_000_000,
        s32: -2_000_000_000,
        u64: 10_000_000_000_000_000_000,
        s64: -9_000_000_000_000_000_000,
        u128: (1 << 64) + 2,
        yes: true,
        port: 443,
        order: 16909060,
        wide: 72623859790382856,
        single: 1.5,
        twice: -2.25,
        action: EverythingValueAction::ACTION_DENY,
        flags: EverythingValueFlags::RED_LIGHT | EverythingValueFlags::BLUE,
        name: Text::new("abc").unwrap(),
        raw: [1, 0, 255],
        ipv4: Ipv4Addr::new(192, 0, 2, 1),
        ipv6: "2001::1".parse::<Ipv6Addr>().unwrap(),
        ip: IpAddr::from([10, 0, 0, 9]),
        mac: Mac([2, 0, 0, 0, 0, 0xab]),
        low: 5,
        middle: -60,
        high: 4_000_000,
        points: [EverythingValuePoints { x: 1, y: -1 }, EverythingValuePoints { x: 300, y: -300 }],
        ports: [1, 256, 65535],
        tight: EverythingValueTight { first: 7, second: 100_000 },
        either,
        inside: 11,
        type_: 12,
        took: 1_500_000,
        class: 1,
        self_: 2,
        a_b: 3,
        a_b_: 4,
    }
}

fn main() -> std::io::Result<()> {
    let everything = Everything::open()?;
    for place in everything.places() {
        println!("for {} at {}", place.member, place.hook.as_deref().unwrap_or("-"));
    }
    let given = loop {
        match everything.lookup(&1)? {
            Some(value) => break value,
            None => sleep(Duration::from_millis(50)),
        }
    };
    println!("value: {}", if given == literal() { "same".to_owned() } else { format!("{given:?}") });
    everything.update(&2, &literal())?;

    let mut reader = Events::open()?.reader()?;
    let (mut told, mut text) = (0, String::new());
    while told == 0 {
        reader.wait(Some(Duration::from_millis(200)))?;
        told = reader.read(|event| {
            let mut bytes = [0; EventsEvent::BYTES];
            event.put(&mut bytes);
            let same = EverythingValue::take(&bytes) == literal();
            text = if same { "same".to_owned() } else { format!("{event:?}") };
        })?;
    }
    println!("event: {text}");
    let mut bytes = 0;
    Plain::open()?.reader()?.read(|event| bytes = event.len())?;
    println!("plain: {bytes} bytes");

    let limits = Limits::open()?;
    limits.update(&443, &LimitsValue { rate: 5, ..LimitsValue::default() })?;
    limits.update(&80, &LimitsValue { rate: 6, burst: 7 })?;
    println!("deleted: {} {}", limits.delete(&80)?, limits.delete(&81)?);
    println!("keys: {:?}", limits.keys()?);
    let refused = limits.update(&443, &LimitsValue { rate: 1_000_001, burst: 0 }).unwrap_err();
    println!("refused: {refused}");
    let again = limits.update_with(&443, &LimitsValue { rate: 9, burst: 9 }, NEW);
    println!("again: {}", again.is_err());

    let address = Ipv4Addr::new(10, 0, 0, 0);
    Prefixes::open()?.update(&Prefix { length: 8, address }, &PrefixesValue::ACTION_DENY)?;

    let counts = Counts::open()?;
    let values = counts.lookup(&0)?.unwrap();
    let packets: u64 = values.iter().map(|value| value.packets).sum();
    println!("counts: {} of {} processors", packets > 0, values.len() == processors()?);
    let numbered: Vec<CountsValue> =
        (0..values.len()).map(|index| CountsValue { packets: index as u64 + 1, last: 8 }).collect();
    counts.update(&1, &numbered)?;

    let waiting = Waiting::open()?;
    waiting.push(&7)?;
    waiting.push(&8)?;
    println!("queue: {:?} {:?}", waiting.pop()?.unwrap(), waiting.peek()?.unwrap());

    println!("seen: {}", Bss::open()?.read()?.seen > 0);
    let data = Data::open()?;
    let variables = data.read()?;
    println!("told: {}", variables.told);
    data.write(&DataVariables { told: 9 })?;
    println!("constant: {}", Rodata::open()?.read()?.constant);
    println!("configured: {}", Settings::open()?.lookup(&1)?.unwrap());
    println!("done");
    loop {
        sleep(Duration::from_secs(60));
    }
}
