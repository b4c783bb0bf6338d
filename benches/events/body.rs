//! The posted bodies: 1 KiB of JSON like Huawei's callbacks, each unique.

/// Length of a body.
pub const LENGTH: usize = 1024;

/// The body whose call ID is this number.
pub fn body(number: u128) -> Vec<u8> {
    let head = format!(
        "{{\"callSerialNo\":\"{number:032x}\",\"uuid\":\"{number:032x}\",\"serviceNo\":\"1001\",\
         \"caller\":\"70001\",\"called\":\"13800000000\",\"state\":\"3\",\"stateDesc\":\"talking\",\
         \"beginTime\":\"1566523582000\",\"alertingTime\":\"1566523585000\",\"tenantSpaceId\":\"202408071234\",\
         \"taskId\":\"1566523582\",\"resultCode\":0,\"callData\":\""
    );
    let mut body = head.into_bytes();
    body.resize(LENGTH - 2, b'd');
    body.extend_from_slice(b"\"}");
    body
}
